import { isFactual, isJudged } from './answer.js'
import { SETS } from './cases.js'
import { durations, lossAgainst, share, type Figure } from './figure.js'
import type { BaseReport } from './report.js'
import type { CaseResult } from './run-case.js'
import type { FollowResult } from './run-follow.js'
import type { PairResult } from './run-pair.js'
import { wordErrorRate, type Hearing } from './hearing.js'
import type { PersonResult } from './run-person.js'
import type { QuietResult } from './run-quiet.js'
import type { ToneResult } from './run-tone.js'
import type { WordErrors } from './speech-errors.js'
import { styleFigures, toneFigures } from './style-figures.js'
import type { StepTimes } from './timed-session.js'

/** The bars of the table, percent: by what training never heard. Of `both` nothing is asked. */
const LEAST = { voices: 95, phrasings: 90, both: undefined } as const
const NAMES = { voices: 'held-out voices', phrasings: 'held-out phrasings', both: 'both held out' } as const
/** Kinds of sound with words that it understands. The bar is of the others; of these nothing is asked in figures. */
const ENGLISH: readonly string[] = ['babble', 'overheard']
/** Points that int8 may lose. */
const MOST_LOST = 1.5

export interface Results {
  readonly cases: readonly CaseResult[]
  readonly quiet: readonly QuietResult[]
  readonly follows: readonly FollowResult[]
  readonly pairs: readonly PairResult[]
  readonly tones: readonly ToneResult[]
  readonly people: readonly PersonResult[]
  /** Real people who read aloud. */
  readonly readers: readonly PersonResult[]
  /** Orders that real people spoke. */
  readonly orders: readonly PersonResult[]
  readonly times: StepTimes
  readonly words: WordErrors | undefined
}

/** All rows of the table, in its order. */
export function figuresOf(results: Results): Figure[] {
  const { cases, follows, quiet, pairs, tones, people, readers, orders, times, words } = results
  const calling = cases.filter(r => r.item.calls.length > 0)
  const factual = cases.filter(r => isJudged(r.item))
  const speaking = cases.flatMap(r => r.onsetMs ?? [])
  const hours = hoursOf(quiet)
  const stepMs = times.steps.reduce((a, b) => a + b, 0)
  return [
    ...bySet('calls', 'tool call exact', calling, r => r.callsRight),
    share({ key: 'calls.none', title: 'no tool call where none is due' }, cases.filter(r => r.item.calls.length === 0), r => r.calls.length === 0),
    ...bySet('reply', 'reply right, its slot copied from the context', factual.filter(r => !r.item.missing), r => r.valuesRight),
    share({ key: 'unknown', title: '"I don\'t know" when the fact is missing', bar: { least: 90 }, accuracy: true }, factual.filter(r => r.item.missing), r => r.unknown),
    share({ key: 'wrong', title: 'wrong fact given', bar: { most: 2 }, accuracy: true }, factual, r => r.wrong.length > 0),
    { key: 'wer', title: 'WER of its speech, whisper-base', unit: '%', value: words?.percent, n: words?.words ?? 0, of: 'words', bar: { most: 6 }, accuracy: true },
    share({ key: 'answered', title: 'answers with speech' }, cases, r => r.onsetMs !== undefined),
    share({ key: 'early', title: 'begins before the person has ended', of: 'replies' }, speaking, ms => ms < 0),
    ...durations({ key: 'onset', title: 'response onset after the end of speech' }, speaking.filter(ms => ms >= 0), { p50: 350, p95: 600 }),
    { ...answersAnHour('noise', 'answers to silence, noise, music, foreign talk', quiet.filter(q => !ENGLISH.includes(q.kind))), bar: { most: 2 }, needs: 1 },
    answersAnHour('noise.english', 'answers to English between others, one at a time or several', quiet.filter(q => ENGLISH.includes(q.kind))),
    answersAnHour('noise.all', 'answers to all of these', quiet),
    { key: 'noise.speech', title: 'time that it speaks in them', unit: '%', value: hours ? (100 * quiet.reduce((sum, q) => sum + q.spoken, 0)) / hours : undefined, n: hours, of: 'hours' },
    ...durations({ key: 'stop', title: 'stops when spoken over', of: 'pairs' }, pairs.map(p => p.stopMs), { p95: 300 }),
    share({ key: 'barge', title: 'answers the new sentence after it was spoken over', of: 'pairs' }, pairs, p => p.answerRight),
    ...(follows.length ? [share({ key: 'follow', title: 'right answer to what is only understood after a request ("and the elevator"), held-out voices', of: 'talks' }, follows, f => f.right)] : []),
    ...SETS.map(set => heardFigure(set, NAMES[set], cases.flatMap(r => (r.item.set === set ? [r.hearing] : [])))),
    ...(people.length ? [
      heardFigure('people', 'real people', people.map(p => p.hearing)),
      share({ key: 'people.spoke', title: 'answers real people (prose, playing cards, digits: mostly not for it)', of: 'recordings' }, people, answers),
    ] : []),
    ...(readers.length ? [
      heardFigure('readers', 'real people reading aloud', readers.map(p => p.hearing)),
      share({ key: 'readers.spoke', title: 'answers real people reading aloud (not for it)', of: 'recordings' }, readers, answers),
    ] : []),
    ...(orders.length ? [
      share({ key: 'orders.calls', title: 'tool call exact, orders by real people', of: 'recordings' }, orders, p => p.callsRight),
      share({ key: 'orders.heard', title: 'hears what is ordered, orders by real people', of: 'recordings' }, orders, p => ` ${p.heard} `.includes(` ${p.item.said} `)),
      share({ key: 'orders.spoke', title: 'answers orders by real people', of: 'recordings' }, orders, answers),
    ] : []),
    ...toneFigures(tones),
    ...styleFigures([...cases, ...tones]),
    ...durations({ key: 'step', title: 'step, one thread of this CPU', of: 'steps' }, times.steps, { p95: 8 }),
    { key: 'host', title: 'share of the host in a step', unit: '%', value: stepMs ? 100 * (1 - times.graphMs / stepMs) : undefined, n: times.steps.length, of: 'steps' },
  ]
}

function answersAnHour(key: string, title: string, quiet: readonly QuietResult[]): Figure {
  const n = hoursOf(quiet)
  return { key, title, unit: 'an hour', value: n ? quiet.reduce((sum, q) => sum + q.replies, 0) / n : undefined, n, of: 'hours' }
}

const hoursOf = (quiet: readonly QuietResult[]): number => quiet.reduce((sum, q) => sum + q.hours, 0)

const answers = (p: PersonResult): boolean => p.text !== '' || p.calls.length > 0

function heardFigure(key: string, who: string, all: readonly Hearing[]): Figure {
  return { key: `heard.${key}`, title: `words that it heard wrong, ${who}`, unit: '%', value: wordErrorRate(all), n: all.reduce((sum, h) => sum + h.words, 0), of: 'words' }
}

/** For each set: all intents, then the focus ones. */
function bySet(key: string, title: string, results: readonly CaseResult[], hit: (r: CaseResult) => boolean): Figure[] {
  return SETS.flatMap(set => {
    const least = LEAST[set]
    const ofSet = results.filter(r => r.item.set === set)
    return [
      share({ key: `${key}.${set}`, title: `${title}, ${NAMES[set]}`, accuracy: true, ...(least && { bar: { least } }) }, ofSet, hit),
      share({ key: `${key}.${set}.focus`, title: `${title}, ${NAMES[set]}, focus intents` }, ofSet.filter(r => r.focus), hit),
    ]
  })
}

/** What is lost against `base`, the same cases on another precision: the worst of the accuracies. */
export function lossFigure(figures: readonly Figure[], base: BaseReport['figures'], precision: string): Figure {
  const losses = figures.filter(f => f.accuracy).flatMap(f => lossAgainst(f, base.find(b => b.key === f.key)) ?? [])
  return { key: 'loss', title: `points lost against ${precision}, the worst accuracy`, unit: '%', value: losses.length ? Math.max(...losses) : undefined, n: losses.length, of: 'accuracies', bar: { most: MOST_LOST } }
}

/** Cases of facts that no rule here can judge: their answer is a yes or no without a value. */
export function unjudged(cases: readonly CaseResult[]): number {
  return cases.filter(r => isFactual(r.item) && !isJudged(r.item)).length
}
