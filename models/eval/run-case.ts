import { join } from 'node:path'
import type { ToolCall } from '../../base/frames.js'
import type { Said } from '../session.js'
import { holdsValues, saysUnknown, wrongFacts, type Expected } from './answer.js'
import { sameCalls } from './calls.js'
import type { Case } from './cases.js'
import { FOCUS } from './focus.js'
import { callsOf, firstSoundMs, paceOf, soundOf, wordsOf } from './heard.js'
import { heardOf, hearing, type Hearing } from './hearing.js'
import { play, tickMsOf } from './play.js'
import { styleOf } from './run-tone.js'
import { readUtterance, type Utterance } from './sounds.js'
import { measureVoice, type VoiceMeasure } from './voice-measure.js'
import type { OmniSession } from '../session.js'

/** What the model made of one case. */
export interface CaseResult {
  readonly item: Case
  readonly expected: Expected
  readonly focus: boolean
  readonly text: string
  readonly calls: readonly ToolCall[]
  readonly callsRight: boolean
  readonly valuesRight: boolean
  readonly unknown: boolean
  readonly wrong: readonly string[]
  /** From the end of the person's speech to the first sound; undefined when it stays silent, negative when it did not wait. */
  readonly onsetMs: number | undefined
  /** The reply came to its end by itself. */
  readonly ended: boolean
  readonly speechTicks: number
  /** Letters a second; undefined when it is silent. */
  readonly pace: number | undefined
  readonly style: string
  /** What it wrote down of what was said, and how far off that is. */
  readonly heard: string
  readonly hearing: Hearing
  /** How the reply sounds; undefined when it is silent. */
  readonly sounds: VoiceMeasure | undefined
}

export interface Played {
  readonly result: CaseResult
  readonly said: readonly Said[]
}

/** Plays one case to a fresh talk and judges what comes. */
export async function runCase(session: OmniSession, folder: string, item: Case, expected: Expected, signal?: AbortSignal): Promise<Played> {
  const utterance = await readUtterance(join(folder, item.wav), session.inputRate)
  const said = await play(session, { facts: item.facts, samples: utterance.samples, room: utterance.span.room }, signal)
  return { said, result: judge(item, expected, said, utterance, tickMsOf(session), session.outputRate) }
}

export function judge(item: Case, expected: Expected, said: readonly Said[], { span }: Pick<Utterance, 'span'>, tickMs: number, rate: number): CaseResult {
  const text = wordsOf(said)
  const calls = callsOf(said)
  const heard = heardOf(said)
  const sound = firstSoundMs(said, tickMs)
  return {
    item, expected, text, calls,
    focus: FOCUS.includes(item.intent),
    callsRight: sameCalls(calls, expected.calls),
    valuesRight: text !== '' && holdsValues(text, expected.values),
    unknown: saysUnknown(text, expected),
    wrong: wrongFacts(text, expected),
    onsetMs: sound === undefined ? undefined : sound - span.endMs,
    ended: said.findLast(s => s.mark)?.mark === 'end',
    speechTicks: said.filter(s => s.speech).length,
    pace: paceOf(said, tickMs),
    style: styleOf(said), heard, hearing: hearing(expected.said, heard),
    sounds: measureVoice(soundOf(said), rate),
  }
}
