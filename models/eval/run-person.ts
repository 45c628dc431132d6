import { join } from 'node:path'
import type { ToolCall } from '../../base/frames.js'
import type { Tool } from '../bundle/schema.js'
import type { OmniSession } from '../session.js'
import { parseCall, sameCalls } from './calls.js'
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
  readonly callsRight: boolean
}

/** How a bundle writes: its tokenizer's words, its tools. */
export interface Writing {
  readonly written: (text: string) => string
  readonly tools: readonly Tool[]
}

/** Plays a real person's recording to a device that knows nothing. */
export async function runPerson(session: OmniSession, folder: string, item: PersonCase, { written, tools }: Writing, signal?: AbortSignal): Promise<PersonResult> {
  const { samples, span } = await readUtterance(join(folder, item.wav), session.inputRate)
  const said = await play(session, { facts: [], samples, room: span.room }, signal)
  const heard = heardOf(said)
  const calls = callsOf(said)
  const callsRight = sameCalls(calls, item.calls.map(call => parseCall(call, tools, written)))
  return { item, heard, hearing: hearing(written(item.said), heard), text: wordsOf(said), calls, callsRight }
}
