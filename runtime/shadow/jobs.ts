import { join } from 'node:path'
import type { z } from 'zod'
import { childAbort } from '../../base/abort.js'
import { pause, type Clock } from '../../base/clock.js'
import { ParleyError, describe, systemCode } from '../../base/errors.js'
import type { Logger } from '../../base/log.js'
import type { Link, Message } from '../telemetry/link/link.js'
import type { windowSettings } from '../telemetry/settings.js'
import type { Topics } from '../telemetry/topics.js'
import { isOver, jobCancel, jobRequest, readJobs, writeJobs, type Job, type JobRequest } from './job-file.js'
import { inWindow } from './window.js'

/** Jobs that may wait. */
const MAX_QUEUED = 16
/** Ended jobs that are remembered: a job may be delivered again so long. */
const KEPT = 64
/** Those that are told of on the retained topic. */
const TOLD = 16
const MAX_REQUEST = 16 * 1024
/** How often a waiting job looks whether it may begin, ms. */
const LOOK_MS = 1_000
/** The conversation must have been quiet for so long, ms: a pause between two sentences is not the end. */
const QUIET_MS = 5_000
/** A job that does not stop when told to is given up after this, ms. */
const GIVE_UP_MS = 10_000

export interface JobKind {
  /** Begins only in the maintenance window and while nobody speaks. */
  readonly disturbs: boolean
  /**
   * What the process's end in the middle of it means. `done`: the job was to restart; `again`: it may be carried out
   * twice; `failed`: nobody knows how far it came.
   */
  readonly interrupted: 'done' | 'again' | 'failed'
  run(args: JobRequest['args'], signal: AbortSignal): Promise<void>
}

export interface JobsOptions {
  readonly link: Link
  readonly topics: Topics
  readonly folder: string
  readonly kinds: Readonly<Record<string, JobKind>>
  readonly clock: Clock
  readonly log: Logger
  /** Is somebody speaking, or being spoken to? */
  readonly busy: () => boolean
  readonly window?: z.infer<typeof windowSettings>
  /** Wall time that can be believed, or undefined: then no window is open. */
  readonly wall: () => number | undefined
  readonly onChange?: (job: Job) => void
}

/**
 * INVARIANTS
 * - A job's id is carried out at most once (`again` kinds: until it ends once), whatever is delivered or restarted.
 * - At most one job runs. Each change of state is on disk before it is told, and before what it announces begins.
 */
export class Jobs implements AsyncDisposable {
  readonly #options: JobsOptions
  readonly #path: string
  readonly #closing = new AbortController()
  #jobs: Job[] = []
  #chain: Promise<void> = Promise.resolve()
  #running: Promise<void> | undefined
  /** The job that runs, and what ends it. */
  #current: { readonly id: string; readonly limit: AbortController } | undefined
  #quietSince: number | undefined
  #wake = new AbortController()

  constructor(options: JobsOptions) {
    this.#options = options
    this.#path = join(options.folder, 'jobs.json')
  }

  /** Before the link starts. */
  async start(): Promise<void> {
    const { link, topics, log } = this.#options
    this.#jobs = await readJobs(this.#path).catch((error: unknown) => {
      log.error({ reason: describe(error) }, 'the jobs on disk cannot be read; beginning anew')
      return []
    })
    for (const job of this.#jobs.filter(j => j.state === 'IN_PROGRESS')) await this.#resume(job)
    link.subscribe(topics.job, 1, message => { this.#chain = this.#chain.then(() => this.#hear(message)) })
    link.onConnect(() => this.#tell())
    this.#running = this.#run()
  }

  get all(): readonly Job[] {
    return this.#jobs
  }

  async close(): Promise<void> {
    this.#closing.abort(new ParleyError('closed', 'the runtime is closing'))
    await this.#chain
    await this.#running
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.close()
  }

  async #resume(job: Job): Promise<void> {
    const interrupted = this.#options.kinds[job.kind]?.interrupted ?? 'failed'
    if (interrupted === 'done') await this.#change(job, { state: 'SUCCEEDED' })
    else if (interrupted === 'again') await this.#change(job, { state: 'QUEUED', reason: 'the device restarted; it begins again' })
    else await this.#change(job, { state: 'FAILED', reason: 'interrupted: the device stopped in the middle of it' })
  }

  async #hear(message: Message): Promise<void> {
    if (message.payload.length === 0) return
    try {
      const request = parse(message)
      const known = this.#jobs.find(j => j.id === request.id)
      if ('cancel' in request) return void (known && await this.#cancel(known))
      if (known) return void await this.#tell().catch(() => {}) // delivered again: the answer is how it stands
      const base: Job = { ...request, state: 'QUEUED', version: 0, queuedAt: this.#now() }
      const refusal = this.#refusal(request)
      this.#jobs.push(base)
      await this.#change(base, refusal ? { state: 'REJECTED', reason: refusal } : { state: 'QUEUED' })
      this.#wake.abort()
    } catch (error) {
      // Without a valid id there is no job that could be rejected.
      this.#options.log.warn({ reason: error instanceof ParleyError ? error.code : describe(error) }, 'a job that cannot be read')
    }
  }

  async #cancel(job: Job): Promise<void> {
    if (job.state === 'QUEUED') await this.#change(job, { state: 'CANCELED', reason: 'canceled: before it began' })
    else if (this.#current?.id === job.id) this.#current.limit.abort(new ParleyError('canceled', 'the job was taken back'))
    else await this.#tell().catch(() => {}) // it has ended: the answer is how
  }

  #refusal(request: JobRequest): string | undefined {
    if (!Object.hasOwn(this.#options.kinds, request.kind)) return `unknown-kind: there is no job ${request.kind}`
    if (this.#jobs.filter(j => !isOver(j)).length >= MAX_QUEUED) return `queue-full: ${MAX_QUEUED} jobs wait already`
    return undefined
  }

  async #run(): Promise<void> {
    const { signal } = this.#closing
    while (!signal.aborted) {
      this.#lookAtTalk()
      for (const late of this.#jobs.filter(j => j.state === 'QUEUED' && this.#now() - j.queuedAt > j.waitS * 1_000)) {
        await this.#change(late, { state: 'TIMED_OUT', reason: 'waited: it could not begin in time' })
      }
      const next = this.#jobs.find(j => j.state === 'QUEUED')
      if (next && this.#mayBegin(next)) {
        await this.#carryOut(next).catch((error: unknown) => this.#options.log.error({ reason: describe(error) }, 'a job could not be written down'))
        continue
      }
      this.#wake = childAbort(signal)
      await pause(this.#options.clock, LOOK_MS, this.#wake.signal)
      this.#wake.abort() // else each second would leave a listener with the parent
    }
  }

  #lookAtTalk(): void {
    if (this.#options.busy()) this.#quietSince = undefined
    else this.#quietSince ??= this.#options.clock.now()
  }

  #mayBegin(job: Job): boolean {
    const { kinds, window, wall, clock } = this.#options
    if (!kinds[job.kind]?.disturbs) return true
    if (this.#quietSince === undefined || clock.now() - this.#quietSince < QUIET_MS) return false
    if (!window || job.now) return true
    const time = wall()
    return time !== undefined && inWindow(window, time)
  }

  async #carryOut(job: Job): Promise<void> {
    const { clock } = this.#options
    await this.#change(job, { state: 'IN_PROGRESS', startedAt: this.#now() })
    const limit = childAbort(this.#closing.signal)
    const over = new AbortController()
    this.#current = { id: job.id, limit }
    const work = this.#options.kinds[job.kind]!.run(job.args, limit.signal).then(() => undefined, (error: unknown) => ({ error }))
    const late = clock.sleep(job.timeoutS * 1_000, over.signal).then(() => 'late' as const, () => 'late' as const)
    const closed = new Promise<'closed'>(resolve => this.#closing.signal.addEventListener('abort', () => resolve('closed'), { once: true, signal: over.signal }))
    const outcome = await Promise.race([work, late, closed])
    this.#current = undefined
    const canceled = systemCode(limit.signal.reason) === 'canceled'
    limit.abort(new ParleyError('timeout', 'the job took too long'))
    if (outcome === 'late') await Promise.race([work, pause(clock, GIVE_UP_MS, over.signal)])
    over.abort()
    if (outcome === 'closed') return // it stays IN_PROGRESS on disk, and the next start decides
    if (outcome === 'late') await this.#change(job, { state: 'TIMED_OUT', reason: `took longer than ${job.timeoutS} s` })
    else if (outcome && canceled) await this.#change(job, { state: 'CANCELED', reason: 'canceled: while it ran' })
    else if (outcome) await this.#change(job, { state: 'FAILED', reason: outcome.error instanceof ParleyError ? `${outcome.error.code}: ${outcome.error.message}` : describe(outcome.error) })
    else await this.#change(job, { state: 'SUCCEEDED' })
  }

  async #change(job: Job, to: Partial<Job> & Pick<Job, 'state'>): Promise<void> {
    Object.assign(job, to, { version: job.version + 1 })
    if (isOver(job)) job.endedAt = this.#now()
    const ended = this.#jobs.filter(isOver)
    if (ended.length > KEPT) this.#jobs = this.#jobs.filter(j => !ended.slice(0, ended.length - KEPT).includes(j))
    await writeJobs(this.#path, this.#jobs)
    this.#options.onChange?.(job)
    await this.#tell().catch(() => {}) // offline: told at the next connection
  }

  async #tell(): Promise<void> {
    const jobs = this.#jobs.slice(-TOLD).map(({ id, kind, state, reason, version, queuedAt, startedAt, endedAt }) => ({ id, kind, state, reason, version, queuedAt, startedAt, endedAt }))
    await this.#options.link.publish(this.#options.topics.jobs, JSON.stringify({ jobs }), { qos: 1, retain: true })
  }

  /** Good enough for how long something waits; a window asks `wall`, which says whether it can be believed. */
  #now(): number {
    return this.#options.wall() ?? this.#options.clock.wall()
  }
}

function parse(message: Message): JobRequest | z.infer<typeof jobCancel> {
  if (message.payload.length > MAX_REQUEST) throw new ParleyError('too-large', `${message.payload.length} bytes`)
  const data: unknown = JSON.parse(message.payload.toString('utf8'))
  const taken = jobCancel.safeParse(data)
  if (taken.success) return taken.data
  const checked = jobRequest.safeParse(data)
  if (checked.success) return checked.data
  throw new ParleyError('malformed', 'not a job', { cause: checked.error })
}
