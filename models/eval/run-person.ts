import { join } from 'node:path'
import type { ToolCall } from '../../base/frames.js'
import type { OmniSession } from '../session.js'
import type { PersonCase } from './cases.js'
import { callsOf, wordsOf } from './heard.js'
import { heardOf, hearing, type Hearing } from './hearing.js'
import { play } from './play.js'
import { readUtterance } from './sounds.js'

export interface PersonResult {
  readonly item: PersonCase
  readonly heard: string
  readonly hearing: Hearing
  readonly text: string
  readonly calls: readonly ToolCall[]
}

/** Plays a real person's recording to a device that knows nothing. `written` is how the bundle's tokenizer writes words. */
export async function runPerson(session: OmniSession, folder: string, item: PersonCase, written: (text: string) => string, signal?: AbortSignal): Promise<PersonResult> {
  const { samples, span } = await readUtterance(join(folder, item.wav), session.inputRate)
  const said = await play(session, { facts: [], samples, room: span.room }, signal)
  const heard = heardOf(said)
  return { item, heard, hearing: hearing(written(item.said), heard), text: wordsOf(said), calls: callsOf(said) }
}
