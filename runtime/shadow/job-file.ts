import { readFile } from 'node:fs/promises'
import { z } from 'zod'
import { writeFileAtomic } from '../../base/files.js'
import { isMissing } from '../../base/errors.js'

/** Source of the words: AWS IoT Jobs, job execution states. */
export const JOB_STATES = ['QUEUED', 'IN_PROGRESS', 'SUCCEEDED', 'FAILED', 'TIMED_OUT', 'REJECTED', 'CANCELED'] as const
export type JobState = (typeof JOB_STATES)[number]

export const jobRequest = z.strictObject({
  id: z.string().regex(/^[A-Za-z0-9_-]{1,64}$/),
  kind: z.string().regex(/^[a-z][a-z0-9-]{0,39}$/),
  args: z.record(z.string(), z.union([z.string().max(500), z.number(), z.boolean()])).default({}),
  /** How long it may run, s. */
  timeoutS: z.number().int().min(1).max(86_400).default(600),
  /** How long it may wait to begin, s. */
  waitS: z.number().int().min(1).max(30 * 86_400).default(86_400),
  /** Does not wait for the maintenance window; it waits for the conversation all the same. */
  now: z.boolean().default(false),
})
export type JobRequest = z.infer<typeof jobRequest>

/** Takes a job back: one that waits does not begin, one that runs is told to stop. */
export const jobCancel = z.strictObject({ id: jobRequest.shape.id, cancel: z.literal(true) })

export const job = jobRequest.extend({
  state: z.enum(JOB_STATES),
  /** Why, where it did not succeed: a code, then a sentence. */
  reason: z.string().optional(),
  /** Counts changes of state. */
  version: z.number().int(),
  /** Unix ms. */
  queuedAt: z.number(),
  /** Of `queuedAt`: the clock was not to be believed. */
  clock: z.literal('floor').optional(),
  /** The W3C trace that it belongs to. */
  traceparent: z.string().optional(),
  startedAt: z.number().optional(),
  endedAt: z.number().optional(),
})
export type Job = z.infer<typeof job>

export const isOver = (j: Job): boolean => j.state !== 'QUEUED' && j.state !== 'IN_PROGRESS'

export async function readJobs(path: string): Promise<Job[]> {
  try {
    return z.array(job).parse(JSON.parse(await readFile(path, 'utf8')))
  } catch (error) {
    if (isMissing(error)) return []
    throw error
  }
}

export async function writeJobs(path: string, jobs: readonly Job[]): Promise<void> {
  await writeFileAtomic(path, JSON.stringify(jobs), 0o600)
}
