import { join } from 'node:path'
import type { OmniSession } from '../session.js'
import { isRight, type Expected } from './answer.js'
import type { FollowCase } from './cases.js'
import { callsOf, replyFrom, soundEndTick, wordsOf } from './heard.js'
import { heardOf } from './hearing.js'
import { play, tickMsOf } from './play.js'
import { readUtterance, spokenOver } from './sounds.js'

/** From the end of the first answer, or of the request that got none, to the second request: 0.96 s. */
const PAUSE_MS = 960

export interface FollowResult {
  readonly item: FollowCase
  /** The request before was answered with speech. */
  readonly firstAnswered: boolean
  readonly right: boolean
  readonly text: string
  readonly heard: string
}

/** Says a request, waits for its answer to end, says what follows it in the same talk, and judges the second answer. */
export async function runFollow(session: OmniSession, folder: string, item: FollowCase, expected: Expected, signal?: AbortSignal): Promise<FollowResult> {
  const tickMs = tickMsOf(session)
  const first = await readUtterance(join(folder, item.before.wav), session.inputRate)
  const second = await readUtterance(join(folder, item.wav), session.inputRate)
  const alone = await play(session, { facts: item.facts, samples: first.samples, room: first.span.room }, signal)
  const begin = alone.findIndex(s => s.speech)
  const over = begin < 0 ? alone.length : soundEndTick(alone, begin)
  const onsetTick = over + Math.ceil(PAUSE_MS / tickMs)
  const said = await play(session, { facts: item.facts, samples: spokenOver(first, second, onsetTick * tickMs, session.inputRate), room: first.span.room }, signal)
  const ticks = replyFrom(said, onsetTick)
  return { item, firstAnswered: begin >= 0, right: isRight(wordsOf(ticks), callsOf(ticks), expected), text: wordsOf(ticks), heard: heardOf(said.slice(onsetTick)) }
}
