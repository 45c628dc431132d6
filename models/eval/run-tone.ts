import { join } from 'node:path'
import type { OmniSession, Said } from '../session.js'
import type { ToneCase } from './cases.js'
import { paceOf, soundOf, wordsOf } from './heard.js'
import { play, tickMsOf } from './play.js'
import { readUtterance } from './sounds.js'
import { measureVoice, type VoiceMeasure } from './voice-measure.js'

export interface ToneResult {
  readonly item: ToneCase
  /** What the model chose; `neutral` when it chose none. */
  readonly style: string
  readonly text: string
  /** Letters a second; undefined when it is silent. */
  readonly pace: number | undefined
  readonly sounds: VoiceMeasure | undefined
}

/** Says something in a tone of voice, and notes the style of the answer and how it sounds. */
export async function runTone(session: OmniSession, folder: string, item: ToneCase, signal?: AbortSignal): Promise<ToneResult> {
  const { samples, span } = await readUtterance(join(folder, item.wav), session.inputRate)
  const said = await play(session, { facts: item.facts, samples, room: span.room }, signal)
  return { item, style: styleOf(said), text: wordsOf(said), pace: paceOf(said, tickMsOf(session)), sounds: measureVoice(soundOf(said), session.outputRate) }
}

export function styleOf(said: readonly Said[]): string {
  return said.find(s => s.style)?.style ?? 'neutral'
}
