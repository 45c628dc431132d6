import { readFile, rm, stat } from 'node:fs/promises'
import { z } from 'zod'
import { writeFileAtomic } from '../../base/files.js'
import type { Observation } from './policy.js'

/** Where the runtime says how it is: `/run/parley/status.json`, gone with the power, so never from an earlier start. */
export const STATUS_FILE = '/run/parley/status.json'
/** There while somebody talks with the device or it acts. */
export const TALKING_FILE = '/run/parley/talking'
/** A lock that is older was left by a process that is gone: talks are shorter, ms. */
const TALK_LIMIT_MS = 15 * 60_000

/** What the runtime writes. Times are Unix ms: another process reads them. */
export const statusSchema = z.object({
  release: z.string().optional(),
  startedAt: z.number(),
  selfTest: z.enum(['passed', 'failed', 'pending']),
  broker: z.enum(['reached', 'pending']),
  lastTalkAt: z.number().optional(),
})
export type Status = z.infer<typeof statusSchema>

/** For the runtime: at the start, after the self-test, when the broker is reached, after each talk. */
export async function writeStatus(status: Status, path = STATUS_FILE): Promise<void> {
  await writeFileAtomic(path, JSON.stringify(status), 0o640)
}

/** For the runtime: holds updates off from the first word until some seconds after the last. */
export async function setTalking(talking: boolean, path = TALKING_FILE): Promise<void> {
  if (talking) await writeFileAtomic(path, '', 0o640)
  else await rm(path, { force: true })
}

export async function isTalking(wall: number, path = TALKING_FILE): Promise<boolean> {
  const found = await stat(path).catch(() => undefined) // not there: nobody talks
  return found !== undefined && Math.abs(wall - found.mtimeMs) < TALK_LIMIT_MS
}

export async function observe(wall: number, path = STATUS_FILE): Promise<Observation> {
  try {
    const { release, startedAt, selfTest, broker, lastTalkAt } = statusSchema.parse(JSON.parse(await readFile(path, 'utf8')))
    return { release, selfTest, broker, quietMs: Math.max(0, wall - Math.max(startedAt, lastTalkAt ?? 0)), silentMs: Math.max(0, wall - (lastTalkAt ?? -Infinity)) }
  } catch {
    return { release: undefined, selfTest: 'pending', broker: 'pending', quietMs: 0, silentMs: Infinity } // it does not run, or not yet
  }
}
