import { spawnSync } from 'node:child_process'
import { mkdtemp, readFile, readdir, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import t from 'tap'
import { readWav, writeWav } from '../../base/wav.js'
import { evaluate, type EvalOptions, type Evaluation } from '../../models/eval/evaluate.js'
import { caseOf } from './eval-kit.js'
import { id, tinyBundle } from './tiny-bundle.js'
import { TINY } from './tiny-graph.js'

t.setTimeout(120_000)
const tiny = await tinyBundle()
const folder = await mkdtemp(join(tmpdir(), 'parley-eval-'))
t.teardown(async () => {
  await tiny[Symbol.asyncDispose]()
  await rm(folder, { recursive: true })
})

/** What the scripted model hears in one tick: a token that it must say, whether it speaks, and a click that is the person's speech. */
interface Heard { say?: string; loud?: number; click?: boolean }
async function record(name: string, count: number, heard: (tick: number) => Heard): Promise<void> {
  const samples = new Float32Array(count * TINY.samples)
  for (let n = 0; n < count; n++) {
    const { say, loud = 0, click } = heard(n)
    samples.set([say ? id(say) / 1_000 : 0, loud, 0, 0, 0, click ? 0.99 : 0], n * TINY.samples)
  }
  await writeWav(join(folder, name), { rate: 16_000, samples })
}
const asks = (tick: number) => (n: number): Heard => (n === tick ? { say: '<style:calm>', click: true } : {})

// 0: a short reply. 1: a reply of 60 ticks. 2: speaks over it: `<cut>`, silence two ticks later, and a new reply.
await record('0.wav', 3, asks(1))
await record('1.wav', 60, n => (n === 1 ? asks(1)(n) : { loud: n > 1 ? 1 : 0 }))
await record('2.wav', 62, n => (n === 1 ? { say: '<cut>', click: true } : n === 20 ? { say: '<style:calm>', loud: -1 } : { loud: n > 2 ? -1 : 0 }))
await record('quiet-0.wav', 10, () => ({}))
await record('quiet-1.wav', 10, asks(2))
const hello = { facts: [['ping', 'hello there']] as [string, string][], values: ['hello there'], reply: 'hello there' }
const lines = [
  caseOf({ wav: '0.wav', kind: 'action', intent: 'goto', calls: ['move(direction=forward, metres=2)'] }),
  caseOf({ wav: '0.wav', set: 'phrasings', kind: 'action', intent: 'rare', calls: ['stop()'] }),
  caseOf({ wav: '1.wav', kind: 'chat', intent: 'rare' }),
  caseOf({ wav: '2.wav', set: 'both', ...hello }),
  caseOf({ wav: '0.wav', facts: [['ping', 'hello there']], missing: true, reply: 'sorry' }),
]
await writeFile(join(folder, 'cases.jsonl'), lines.map(line => JSON.stringify(line)).join('\n'))
const follows = ['2.wav', 'quiet-0.wav'].map(wav => ({ ...caseOf({ wav, ...hello }), before: { wav: '0.wav', said: 'ping' } }))
await writeFile(join(folder, 'follows.jsonl'), follows.map(line => JSON.stringify(line)).join('\n'))
await writeFile(join(folder, 'quiet.jsonl'), '{"wav": "quiet-0.wav", "kind": "silence"}\n{"wav": "quiet-1.wav", "kind": "hum", "facts": [["ping", "pong"]]}\n')
await writeFile(join(folder, 'tones.jsonl'), '{"wav": "0.wav", "tone": "shouted", "wants": "calm", "voice": "x", "said": "ping"}\n{"wav": "quiet-0.wav", "tone": "shouted", "wants": "calm", "voice": "x", "said": "ping"}\n')
await writeFile(join(folder, 'orders.jsonl'), '{"wav": "0.wav", "said": "ping", "from": "a collection", "calls": ["move(direction=forward, metres=2)"]}\n{"wav": "quiet-0.wav", "said": "ping", "from": "a collection", "calls": ["stop()"]}\n')
await writeFile(join(folder, 'people.jsonl'), '{"wav": "quiet-0.wav", "said": "front left", "from": "a package"}\n')

const run = (options: Partial<EvalOptions> = {}): Promise<Evaluation> => evaluate({ cases: folder, bundle: tiny.folder, cacheFolder: tiny.folder, ...options })
const evaluation = await run()
const figure = (key: string): { value: number | undefined; n: number } | undefined => evaluation.report.figures.find(f => f.key === key)

t.test('calls, replies, missing and wrong facts are those of the script', async t => {
  t.match(figure('calls.voices'), { value: 100, n: 1 })
  t.match(figure('calls.phrasings'), { value: 0, n: 1 })
  t.match(figure('calls.none'), { value: 0, n: 3 })
  t.match(figure('reply.both'), { value: 100, n: 1 })
  t.match(figure('unknown'), { value: 0, n: 1 })
  t.match(figure('wrong'), { value: 50, n: 2 })
})

t.test('the onset is from the end of the click to the first sound that is played', async t => {
  t.equal(evaluation.results.cases[0]?.onsetMs, 140) // the click's frame ends at 100, the first tick with speech is over at 240
})

t.test('answers to sound that is not for it are counted an hour', async t => {
  t.same(evaluation.results.quiet.map(q => q.replies), [0, 1])
  t.equal(Math.round(figure('noise')?.value ?? 0), 2_250) // one in 1.6 s
  t.match(figure('noise.speech'), { value: 35 }) // it speaks in seven of twenty ticks
})

t.test('the style of an answer is the one that the model chose', async t => {
  t.same(evaluation.results.tones.map(r => r.style), ['calm', 'neutral'])
  t.match(figure('tone.shouted'), { value: 50, n: 2 })
})

t.test('real people are played to a device without facts, and what it heard of them is compared', async t => {
  t.match(evaluation.results.people, [{ text: '', hearing: { errors: 2, words: 2 } }])
  t.match(figure('heard.people'), { value: 100, n: 2 })
})

t.test('orders of real people are judged by what it does', async t => {
  t.match(figure('orders.calls'), { value: 50, n: 2 })
  t.match(figure('orders.spoke'), { value: 50, n: 2 })
})

t.test('a reply that is spoken over stops, and the new sentence is answered', async t => {
  t.match(evaluation.results.pairs, [{ first: '1.wav', second: '2.wav', stopMs: 240, answerRight: true, text: 'hello there' }])
  t.match(figure('stop.p95'), { value: 240, n: 1 })
})

t.test('what follows a request is judged by the second answer alone, even where the first would do', async t => {
  t.match(evaluation.results.follows, [{ firstAnswered: true, right: true, text: 'hello there' }, { firstAnswered: true, right: false, text: '' }])
  t.match(figure('follow'), { value: 50, n: 2 })
})

t.test('all steps are timed, and the graph has its part', async t => {
  t.ok((figure('step.p95')?.n ?? 0) > 150)
  const host = figure('host')?.value ?? 0
  t.ok(host > 0 && host < 100, `${host} %`)
})

t.test('a repeated run hears and says the same', async t => {
  const again = await run()
  t.same(again.results.cases, evaluation.results.cases)
  t.same(again.results.pairs, evaluation.results.pairs)
})

t.test('a part of the cases is called so', async t => {
  t.match((await run({ limit: 2 })).report.cases, { n: 2, part: 'Only the first 2 of 5 cases were run' })
  t.match((await run({ focus: true })).report.cases, { n: 3, part: /of the focus intents/ })
})

t.test('the replies are written as sound, and an independent ear judges them', async t => {
  const [speech, python] = [join(folder, 'speech'), join(folder, 'python')]
  await writeFile(python, '#!/bin/sh\ntest -f "$3" && pwd && echo "WER 4.2 % of $(wc -l < "$3") words"\n', { mode: 0o755 })
  const { report } = await run({ speech, python })
  t.match(report.figures.find(f => f.key === 'wer'), { value: 4.2, n: 5 })
  t.same((await readdir(speech)).sort(), ['0.wav', '1.wav', '2.wav', 'cases.jsonl'])
  t.match((await readFile(join(speech, 'cases.jsonl'), 'utf8')).split('\n')[0], '{"wav":"0.wav","text":"hello there"}')
  t.equal((await readWav(join(speech, '0.wav'))).samples.length, 8 * TINY.samples + 9_600, 'eight ticks of speech, 0.3 s around them')
})

t.test('a judge that fails stops the evaluation with its words', async t => {
  const python = join(folder, 'broken')
  await writeFile(python, '#!/bin/sh\necho "No module named faster_whisper" >&2\nexit 1\n', { mode: 0o755 })
  await t.rejects(run({ speech: join(folder, 'speech'), python }), { code: 'eval-judge', message: /No module named faster_whisper/ })
})

const main = (...args: string[]): ReturnType<typeof spawnSync> => spawnSync(process.execPath, [fileURLToPath(new URL('../../models/eval/main.js', import.meta.url)), '--cases', folder, '--bundle', tiny.folder, ...args], { encoding: 'utf8', env: { ...process.env, PARLEY_CACHE: tiny.folder } })

t.test('the command writes the report and the card, and compares with an earlier report', async t => {
  const [json, card] = [join(folder, 'figures.json'), join(folder, 'CARD.md')]
  await writeFile(card, '# tiny\n\n<!-- figures -->\n<!-- /figures -->\n\nLimits: it is a script.\n')
  t.match(main('--json', json), { status: 0, stderr: /of 2 quiet files/ })
  t.match(main('--compare', json, '--card', card), { status: 0 })
  const text = await readFile(card, 'utf8')
  t.match(text, /^# tiny\n\n<!-- figures -->\nMeasured on /)
  t.match(text, '| fp32 | difference |')
  t.match(text, /points lost against fp32, the worst accuracy \| ≤ 1.5 % \| 0.0 %/)
  t.match(text, /Missed: .*tool call exact, held-out phrasings/)
  t.match(text, 'Limits: it is a script.')
})

t.test('a report of other cases is not compared', async t => {
  t.match(main('--compare', join(folder, 'figures.json'), '--limit', '2'), { status: 1, stderr: /was made on other cases/ })
})

t.test('wrong use exits with 2, missing cases with 1 and what to do', async t => {
  t.match(main('--nonsense'), { status: 2 })
  t.match(main('--cases', join(folder, 'none')), { status: 1, stderr: /parley_train\.heldout/ })
})
