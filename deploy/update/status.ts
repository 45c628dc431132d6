import { readFile, rm, stat } from 'node:fs/promises'
import { z } from 'zod'
import { writeFileAtomic } from '../../base/files.js'
import { uptimeMs } from '../../base/uptime.js'
import type { Observation } from './policy.js'

/** Where the runtime says how it is: `/run/parley/status.json`, gone with the power, so never from an earlier start. */
export const STATUS_FILE = '/run/parley/status.json'
/** There while somebody talks with the device or it acts; in it the ms since the machine started, of when it was last renewed. */
export const TALKING_FILE = '/run/parley/talking'
/** A lock that is older was left by a process that is gone: talks are shorter, ms. */
const TALK_LIMIT_MS = 15 * 60_000

/**
 * What the runtime writes. `…At` is Unix ms, for people; `…UpMs` is ms since the machine started, for who counts: a clock that is set
 * forward must not make ten quiet minutes of one.
 */
export const statusSchema = z.object({
  release: z.string().optional(),
  startedAt: z.number(),
  startedUpMs: z.number().optional(),
  selfTest: z.enum(['passed', 'failed', 'pending']),
  broker: z.enum(['reached', 'pending']),
  lastTalkAt: z.number().optional(),
  lastTalkUpMs: z.number().optional(),
})
export type Status = z.infer<typeof statusSchema>

/** For the runtime: at the start, after the self-test, when the broker is reached, after each talk. */
export async function writeStatus(status: Status, path = STATUS_FILE): Promise<void> {
  await writeFileAtomic(path, JSON.stringify(status), 0o640)
}

/** For the runtime: holds updates off from the first word until some seconds after the last. */
export async function setTalking(talking: boolean, path = TALKING_FILE, upMs = uptimeMs()): Promise<void> {
  if (talking) await writeFileAtomic(path, `${upMs}\n`, 0o640)
  else await rm(path, { force: true })
}

/** Two views of the same moment. */
export interface Moment {
  /** Unix ms: for what a release wrote that is older than `…UpMs`. */
  readonly wall: number
  /** Ms since the machine started. */
  readonly upMs: number
}

export async function isTalking({ wall, upMs }: Moment, path = TALKING_FILE): Promise<boolean> {
  try {
    const text = (await readFile(path, 'utf8')).trim()
    const age = text === '' ? Math.abs(wall - (await stat(path)).mtimeMs) : upMs - Number(text)
    return age >= 0 && age < TALK_LIMIT_MS
  } catch {
    return false // not there: nobody talks
  }
}

export async function observe({ wall, upMs }: Moment, path = STATUS_FILE): Promise<Observation> {
  try {
    const s = statusSchema.parse(JSON.parse(await readFile(path, 'utf8')))
    const [now, started, talked] = s.startedUpMs === undefined ? [wall, s.startedAt, s.lastTalkAt] : [upMs, s.startedUpMs, s.lastTalkUpMs]
    return { release: s.release, selfTest: s.selfTest, broker: s.broker, quietMs: Math.max(0, now - Math.max(started, talked ?? 0)), silentMs: Math.max(0, now - (talked ?? -Infinity)) }
  } catch {
    return { release: undefined, selfTest: 'pending', broker: 'pending', quietMs: 0, silentMs: Infinity } // it does not run, or not yet
  }
}
