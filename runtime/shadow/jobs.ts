import { join } from 'node:path'
import { z } from 'zod'
import { childAbort } from '../../base/abort.js'
import { pause, type Clock } from '../../base/clock.js'
import { ParleyError, describe, systemCode } from '../../base/errors.js'
import type { Logger } from '../../base/log.js'
import type { Link, Message } from '../telemetry/link/link.js'
import type { windowSettings } from '../telemetry/settings.js'
import type { Topics } from '../telemetry/topics.js'
import { traceOf } from '../telemetry/trace.js'
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

type Change = Partial<Job> & Pick<Job, 'state'>

export type Interrupted = 'done' | 'again' | 'failed'

export interface JobKind {
  /** Begins only in the maintenance window and while nobody speaks. */
  readonly disturbs: boolean
  /**
   * What the process's end in the middle of it means. `done`: the job was to restart; `again`: it may be carried out
   * twice; `failed`: nobody knows how far it came. A function looks what became of it, and throws why it has failed.
   */
  readonly interrupted: Interrupted | ((args: JobRequest['args']) => Promise<Interrupted>)
  run(args: JobRequest['args'], signal: AbortSignal): Promise<void>
}

export interface JobsOptions {
  readonly link: Pick<Link, 'publish' | 'subscribe' | 'onConnect'>
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
 * - A disk that refuses stops no job that runs and never throws out of here: its end is written down as soon as that can be done.
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
  #changes: Promise<void> = Promise.resolve()
  /** Ends that the disk has refused so far, by job. */
  readonly #unwritten = new Map<Job, Change>()
  /** Monotonic time since when this process has known a job. */
  readonly #knownSince = new WeakMap<Job, number>()
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
    for (const job of this.#jobs.filter(j => j.state === 'IN_PROGRESS')) await this.#settle(job, await this.#afterRestart(job))
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

  async #afterRestart(job: Job): Promise<Change> {
    const { interrupted: look = 'failed' } = this.#options.kinds[job.kind] ?? {}
    let interrupted
    try {
      interrupted = typeof look === 'string' ? look : await look(job.args)
    } catch (error) {
      return failure(error)
    }
    if (interrupted === 'done') return { state: 'SUCCEEDED' }
    if (interrupted === 'again') return { state: 'QUEUED', reason: 'the device restarted; it begins again' }
    return { state: 'FAILED', reason: 'interrupted: the device stopped in the middle of it' }
  }

  async #hear(message: Message): Promise<void> {
    if (message.payload.length === 0) return
    try {
      const { cancel, request, wrong } = parse(message)
      const known = this.#jobs.find(j => j.id === request.id)
      if (cancel) return void (known ? await this.#cancel(known) : await this.#tell().catch(() => {})) // one that is not there does not begin
      if (known) return void await this.#tell().catch(() => {}) // delivered again: the answer is how it stands
      const traceparent = traceOf(message.userProperties)
      const base: Job = { ...request, state: 'QUEUED', version: 0, queuedAt: this.#now(), ...(this.#options.wall() === undefined ? { clock: 'floor' } : {}), ...(traceparent ? { traceparent } : {}) }
      const refusal = wrong ?? (message.retain ? 'retained: a job that the broker keeps would come again and again; send it without the retain flag' : this.#refusal(request))
      await this.#accept(base, refusal ? { state: 'REJECTED', reason: refusal } : { state: 'QUEUED' })
      this.#wake.abort()
    } catch {
      this.#options.log.warn({ bytes: message.payload.length }, 'a job without a valid id: there is none that could be rejected') // what stands in it may be words
    }
  }

  /** What cannot be written down is not taken on: it would be lost with the process, and nobody would know. */
  async #accept(job: Job, to: Change): Promise<void> {
    try {
      await this.#change(job, to)
    } catch (error) {
      this.#options.log.error({ reason: describe(error) }, 'a job cannot be written down')
      await this.#tell({ ...job, state: 'REJECTED', reason: `store-failed: the device cannot write it down (${systemCode(error) ?? 'unknown'})` }).catch(() => {}) // offline again
    }
  }

  async #cancel(job: Job): Promise<void> {
    if (this.#current?.id === job.id) this.#current.limit.abort(new ParleyError('canceled', 'the job was taken back'))
    else if (job.state === 'QUEUED') await this.#settle(job, { state: 'CANCELED', reason: 'canceled: before it began' })
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
      for (const [job, to] of [...this.#unwritten]) await this.#settle(job, to)
      const waiting = this.#jobs.filter(j => j.state === 'QUEUED' && !this.#unwritten.has(j))
      for (const late of waiting.filter(j => this.#isLate(j))) await this.#settle(late, { state: 'TIMED_OUT', reason: 'waited: it could not begin in time' })
      const next = waiting.find(j => j.state === 'QUEUED' && !this.#unwritten.has(j))
      const limit = next && this.#mayBegin(next) ? await this.#begin(next) : undefined
      if (next && limit) {
        await this.#carryOut(next, limit)
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

  /** What ends it from now on; undefined when its beginning cannot be written down: it waits on. */
  async #begin(job: Job): Promise<AbortController | undefined> {
    const limit = childAbort(this.#closing.signal)
    this.#current = { id: job.id, limit } // who takes it back while this is written ends it
    try {
      await this.#change(job, { state: 'IN_PROGRESS', startedAt: this.#now() })
      return limit
    } catch (error) {
      this.#current = undefined
      limit.abort() // else it would stay a listener of its parent
      this.#options.log.error({ reason: describe(error) }, 'a job cannot be written down; it waits')
      return undefined
    }
  }

  async #carryOut(job: Job, limit: AbortController): Promise<void> {
    const { clock } = this.#options
    const over = new AbortController()
    const work = this.#work(job, limit.signal).then(() => undefined, (error: unknown) => ({ error }))
    const late = clock.sleep(job.timeoutS * 1_000, over.signal).then(() => 'late' as const, () => 'late' as const)
    const closed = new Promise<'closed'>(resolve => this.#closing.signal.addEventListener('abort', () => resolve('closed'), { once: true, signal: over.signal }))
    const outcome = await Promise.race([work, late, closed])
    this.#current = undefined
    const canceled = systemCode(limit.signal.reason) === 'canceled'
    limit.abort(new ParleyError('timeout', 'the job took too long'))
    if (outcome === 'late') await Promise.race([work, pause(clock, GIVE_UP_MS, over.signal)])
    over.abort()
    if (outcome === 'closed' || (outcome && this.#closing.signal.aborted)) return // it stays IN_PROGRESS on disk, and the next start decides
    await this.#settle(job, endOf(outcome, canceled, job))
  }

  async #work(job: Job, signal: AbortSignal): Promise<void> {
    signal.throwIfAborted()
    const kind = this.#options.kinds[job.kind]
    if (!kind) throw new ParleyError('unknown-kind', `there is no job ${job.kind} any more`) // it waited over an update
    await kind.run(job.args, signal)
  }

  /** A change that must come: what the disk refuses is tried again with each look. */
  async #settle(job: Job, to: Change): Promise<void> {
    try {
      await this.#change(job, to)
      this.#unwritten.delete(job)
    } catch (error) {
      if (!this.#unwritten.has(job)) this.#options.log.error({ reason: describe(error) }, 'a job\'s end cannot be written down yet')
      this.#unwritten.set(job, to)
    }
  }

  /** On disk first, then in memory, then told; one after the other. Rejects, with nothing changed, when the disk refuses. */
  #change(job: Job, to: Change): Promise<void> {
    const done = this.#changes.then(() => this.#changeNow(job, to))
    this.#changes = done.catch(() => {}) // whoever asked for it is told
    return done
  }

  async #changeNow(job: Job, to: Change): Promise<void> {
    const next: Job = { ...job, ...to, version: job.version + 1 }
    if (isOver(next)) next.endedAt = this.#now()
    const jobs = this.#jobs.includes(job) ? this.#jobs : [...this.#jobs, job] // a new one is there, and can begin, only when this is on disk
    const over = jobs.filter(j => isOver(j === job ? next : j))
    const forgotten = new Set(over.slice(0, Math.max(0, over.length - KEPT)))
    await writeJobs(this.#path, jobs.filter(j => !forgotten.has(j)).map(j => (j === job ? next : j)))
    Object.assign(job, next)
    this.#jobs = jobs.filter(j => !forgotten.has(j))
    this.#options.onChange?.(job)
    await this.#tell().catch(() => {}) // offline: told at the next connection
  }

  /** `also`: one that was not taken on. */
  async #tell(also?: Job): Promise<void> {
    const jobs = [...this.#jobs, ...(also ? [also] : [])].slice(-TOLD).map(({ id, kind, state, reason, version, queuedAt, startedAt, endedAt }) => ({ id, kind, state, reason, version, queuedAt, startedAt, endedAt }))
    await this.#options.link.publish(this.#options.topics.jobs, JSON.stringify({ jobs }), { qos: 1, retain: true })
  }

  /** By the clock that nobody sets, as long as this process lives; by the wall's where both of its times can be believed. */
  #isLate(job: Job): boolean {
    const { clock, wall } = this.#options
    const since = this.#knownSince.get(job) ?? clock.now()
    this.#knownSince.set(job, since)
    const now = wall()
    return clock.now() - since > job.waitS * 1_000 || (now !== undefined && job.clock === undefined && now - job.queuedAt > job.waitS * 1_000)
  }

  /** For records; a window asks `wall`, which says whether it can be believed. */
  #now(): number {
    return this.#options.wall() ?? this.#options.clock.wall()
  }
}

function endOf(outcome: 'late' | { error: unknown } | undefined, canceled: boolean, job: Job): Change {
  if (outcome === 'late') return { state: 'TIMED_OUT', reason: `took longer than ${job.timeoutS} s` }
  if (!outcome) return { state: 'SUCCEEDED' }
  if (canceled) return { state: 'CANCELED', reason: 'canceled: while it ran' }
  return failure(outcome.error)
}

const failure = (error: unknown): Change => ({ state: 'FAILED', reason: error instanceof ParleyError ? `${error.code}: ${error.message}` : describe(error) })

const named = z.object({ id: jobRequest.shape.id })

interface Heard {
  readonly cancel: boolean
  readonly request: JobRequest
  /** Why it is rejected: a code, then what is wrong with it. */
  readonly wrong?: string
}

/** Throws for what has no valid id, so that nobody could be told of it by name. */
function parse({ payload }: Message): Heard {
  const data: unknown = JSON.parse(payload.toString('utf8'))
  const { id } = named.parse(data)
  const nothing: JobRequest = jobRequest.parse({ id, kind: 'unknown' })
  if (payload.length > MAX_REQUEST) return { cancel: false, request: nothing, wrong: `too-large: ${payload.length} bytes; at most ${MAX_REQUEST}` }
  if (jobCancel.safeParse(data).success) return { cancel: true, request: nothing }
  const checked = jobRequest.safeParse(data)
  if (checked.success) return { cancel: false, request: checked.data }
  return { cancel: false, request: nothing, wrong: `malformed: ${checked.error.issues.slice(0, 5).map(i => `${i.path.join('.') || 'the job'}: ${i.message}`).join('; ')}` }
}
