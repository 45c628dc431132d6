import { createHash } from 'node:crypto'
import { readFile } from 'node:fs/promises'
import { cpus, loadavg } from 'node:os'
import { ParleyError } from '../../base/errors.js'
import { loadBundle } from '../bundle/load.js'
import { openInProcess } from '../engine/open.js'
import { Tokenizer } from '../tokenizer/tokenizer.js'
import { expectedOf } from './answer.js'
import { readCases, type Cases, type PersonCase } from './cases.js'
import type { Figure } from './figure.js'
import { figuresOf, lossFigure, unjudged, type Results } from './figures.js'
import { FOCUS } from './focus.js'
import { needSameCases, readBase, type BaseReport, type Report } from './report.js'
import { runCase, type CaseResult } from './run-case.js'
import { runFollow, type FollowResult } from './run-follow.js'
import { pairsOf, runPair, type PairResult } from './run-pair.js'
import { runPerson, type PersonResult } from './run-person.js'
import { runQuiet, type QuietResult } from './run-quiet.js'
import { runTone, type ToneResult } from './run-tone.js'
import { SpeechFolder, judgeSpeech } from './speech-errors.js'
import { TimedBackend } from './timed-backend.js'
import { TimedSession } from './timed-session.js'

export interface EvalOptions {
  readonly cases: string
  readonly bundle: string
  /** Only the first so many cases. */
  readonly limit?: number
  /** Only the focus intents. */
  readonly focus?: boolean
  /** Where the replies go as WAV files. */
  readonly speech?: string
  /** Python with faster-whisper, for the WER of `speech`. */
  readonly python?: string
  /** A report of `--json` on another precision. */
  readonly compare?: string
  /** At most so many pairs are spoken over. */
  readonly pairs?: number
  readonly cacheFolder?: string
  readonly progress?: (line: string) => void
  readonly signal?: AbortSignal
}

export interface Evaluation {
  readonly report: Report
  readonly base: BaseReport | undefined
  readonly results: Results
}

/** 60 pairs make the p95 stand on three. Each is two runs. */
const MOST_PAIRS = 60

/** Plays all cases through the engine on one thread of the CPU and measures. */
export async function evaluate(options: EvalOptions): Promise<Evaluation> {
  const { progress = () => {}, signal } = options
  const cases = await readCases(options.cases)
  const chosen = chooseCases(cases, options)
  const base = options.compare === undefined ? undefined : await readBase(options.compare)
  if (base) needSameCases({ cases: { sha256: cases.hash, n: chosen.length, unjudged: 0 } }, base, options.compare as string)
  const bundle = await loadBundle(options.bundle, options.cacheFolder === undefined ? {} : { cacheFolder: options.cacheFolder })
  const tokenizer = await Tokenizer.load(bundle.path(bundle.manifest.tokenizer.file))
  const written = (text: string): string => tokenizer.decode(tokenizer.encode(text))
  const backend = new TimedBackend()
  const opened = await openInProcess(bundle, { providers: ['cpu'], backend })
  await using session = new TimedSession(opened, backend)
  const speech = options.speech === undefined ? undefined : new SpeechFolder(options.speech, session.outputRate)

  const results: CaseResult[] = []
  for (const item of chosen) {
    const { result, said } = await runCase(session, cases.folder, item, expectedOf(item, bundle.manifest.tools, written), signal)
    results.push(result)
    await speech?.add(result, said)
    if (results.length % 25 === 0) progress(`${results.length} of ${chosen.length} cases`)
  }
  const follows: FollowResult[] = []
  for (const item of cases.follows) follows.push(await runFollow(session, cases.folder, item, expectedOf(item, bundle.manifest.tools, written), signal))
  const quiet: QuietResult[] = []
  for (const item of cases.quiet) {
    quiet.push(await runQuiet(session, cases.folder, item, signal))
    progress(`${quiet.length} of ${cases.quiet.length} quiet files, ${quiet.reduce((sum, q) => sum + q.replies, 0)} answers`)
  }
  const tones: ToneResult[] = []
  for (const item of cases.tones) tones.push(await runTone(session, cases.folder, item, signal))
  const byPeople = async (list: readonly PersonCase[]): Promise<PersonResult[]> => {
    const out: PersonResult[] = []
    for (const item of list) out.push(await runPerson(session, cases.folder, item, { written, tools: bundle.manifest.tools }, signal))
    return out
  }
  const people = await byPeople(cases.people)
  const readers = await byPeople(cases.readers)
  const orders = await byPeople(cases.orders)
  const pairs: PairResult[] = []
  const wanted = pairsOf(results, options.pairs ?? MOST_PAIRS)
  for (const [i, [first, second]] of wanted.entries()) {
    const pair = await runPair(session, cases.folder, first, second, signal)
    if (pair) pairs.push(pair)
    if (i % 10 === 9) progress(`${i + 1} of ${wanted.length} pairs`)
  }
  await speech?.finish()
  if (speech?.count && options.python !== undefined) progress(`an independent ear listens to ${speech.count} replies`)
  const words = speech?.count && options.python !== undefined ? await judgeSpeech(options.python, speech.list, speech.count) : undefined

  const all: Results = { cases: results, follows, quiet, tones, people, readers, orders, pairs, words, times: session }
  const figures: Figure[] = figuresOf(all)
  if (base) figures.push(lossFigure(figures, base.figures, base.bundle.precision))
  const part = partOf(cases, chosen.length, options)
  const report: Report = {
    when: new Date().toISOString(),
    bundle: {
      name: bundle.manifest.name, version: bundle.manifest.version, precision: opened.host.precision, provider: session.provider,
      sha256: createHash('sha256').update(await readFile(bundle.path('bundle.json'))).digest('hex'),
    },
    cases: { sha256: cases.hash, n: results.length, unjudged: unjudged(results), ...(part && { part }) },
    machine: { cpu: cpus()[0]?.model ?? 'unknown', cores: cpus().length, load: loadavg()[0] ?? 0 },
    figures,
  }
  return { report, base, results: all }
}

function chooseCases({ cases, folder }: Cases, { focus, limit }: EvalOptions): Cases['cases'] {
  const chosen = (focus ? cases.filter(item => FOCUS.includes(item.intent)) : cases).slice(0, limit)
  if (chosen.length === 0) throw new ParleyError('eval-cases', `there are no cases to run in ${folder}`)
  return chosen
}

function partOf({ cases }: Cases, n: number, { focus }: EvalOptions): string | undefined {
  if (n === cases.length) return undefined
  return focus ? `Only ${n} of ${cases.length} cases, of the focus intents, were run` : `Only the first ${n} of ${cases.length} cases were run`
}
