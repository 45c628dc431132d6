import { join } from 'node:path'
import type { OmniSession } from '../session.js'
import type { QuietCase } from './cases.js'
import { countReplies, wordsOf } from './heard.js'
import { play, tickMsOf } from './play.js'
import { readUtterance } from './sounds.js'

export interface QuietResult {
  readonly wav: string
  readonly kind: string
  readonly hours: number
  readonly replies: number
  /** Hours of its own speech. */
  readonly spoken: number
  readonly text: string
}

/** Plays sound that is not for the device and counts what it answers. */
export async function runQuiet(session: OmniSession, folder: string, item: QuietCase, signal?: AbortSignal): Promise<QuietResult> {
  const { samples } = await readUtterance(join(folder, item.wav), session.inputRate)
  const said = await play(session, { facts: item.facts, samples, room: 0, bare: true }, signal)
  const hours = tickMsOf(session) / 3_600_000
  return { wav: item.wav, kind: item.kind, hours: said.length * hours, replies: countReplies(said), spoken: said.filter(s => s.speech).length * hours, text: wordsOf(said) }
}
