import { join } from 'node:path'
import type { OmniSession } from '../session.js'
import { isJudged, isRight } from './answer.js'
import { callsOf, replyFrom, soundEndTick, wordsOf } from './heard.js'
import { play, tickMsOf } from './play.js'
import type { CaseResult } from './run-case.js'
import { readUtterance, spokenOver } from './sounds.js'

/** The second person begins this many ticks after the reply's first sound: 0.64 s. */
const SPEAK_AFTER_TICKS = 8
/** The reply would have gone on for at least so long: 0.64 s, so that an end of its own is not taken for a stop. */
const GOES_ON_TICKS = 8

export interface PairResult {
  readonly first: string
  readonly second: string
  /** From the second person's first sound to the end of the reply's last sound, ms. */
  readonly stopMs: number
  /** What it would have been without the second person, ms. */
  readonly unstoppedMs: number
  readonly answerRight: boolean
  readonly text: string
}

/** Each long enough reply with the next case that can be judged and whose facts do not contradict the first's. */
export function pairsOf(results: readonly CaseResult[], most: number): [CaseResult, CaseResult][] {
  const seconds = results.filter(({ item }) => (isJudged(item) && !item.missing) || item.calls.length > 0)
  return results.flatMap((first, i): [CaseResult, CaseResult][] => {
    if (first.speechTicks <= SPEAK_AFTER_TICKS + GOES_ON_TICKS) return []
    const turned = [...seconds.slice(i % Math.max(1, seconds.length)), ...seconds.slice(0, i % Math.max(1, seconds.length))]
    const second = turned.find(other => other !== first && agree(first, other))
    return second ? [[first, second]] : []
  }).slice(0, most)
}

function agree(a: CaseResult, b: CaseResult): boolean {
  return a.item.wav !== b.item.wav && a.item.facts.every(([key, value]) => b.item.facts.every(([k, v]) => k !== key || v === value))
}

/** Plays the first case alone, then again with the second person speaking over the reply. Undefined when there is nothing to stop. */
export async function runPair(session: OmniSession, folder: string, first: CaseResult, second: CaseResult, signal?: AbortSignal): Promise<PairResult | undefined> {
  const tickMs = tickMsOf(session)
  const known = new Set(second.item.facts.map(([key]) => key))
  const facts = [...first.item.facts.filter(([key]) => !known.has(key)), ...second.item.facts]
  const a = await readUtterance(join(folder, first.item.wav), session.inputRate)
  const b = await readUtterance(join(folder, second.item.wav), session.inputRate)
  const alone = await play(session, { facts, samples: a.samples, room: a.span.room }, signal)
  const begin = alone.findIndex(s => s.speech)
  if (begin < 0) return undefined
  const onset = begin + 1 + SPEAK_AFTER_TICKS
  const unstoppedMs = (soundEndTick(alone, begin) - onset) * tickMs
  if (unstoppedMs < GOES_ON_TICKS * tickMs) return undefined

  const samples = spokenOver(a, b, onset * tickMs, session.inputRate)
  const said = await play(session, { facts, samples, room: a.span.room }, signal)
  const ticks = replyFrom(said, onset + 1)
  return {
    first: first.item.wav,
    second: second.item.wav,
    stopMs: Math.max(0, (soundEndTick(said, begin) - onset) * tickMs),
    unstoppedMs,
    answerRight: isRight(wordsOf(ticks), callsOf(ticks), second.expected),
    text: wordsOf(ticks),
  }
}
