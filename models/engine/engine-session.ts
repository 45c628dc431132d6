import { ParleyError } from '../../base/errors.js'
import type { Provider } from '../ladder/backend.js'
import type { Refusal } from '../ladder/ladder.js'
import type { OmniSession, Said, Tick } from '../session.js'
import { ModelProcess } from './child-process.js'
import { EngineJobs, type Facts, type StepJob } from './jobs.js'
import type { SpareChild } from './spare-child.js'
import type { StepSpec } from './step-spec.js'
import type { Telling, Told } from './text-channel.js'
import { Watchdog } from './watchdog.js'
import type { Message } from './wire.js'

export interface EngineOptions {
  /** The child is killed when it owes an answer and has said nothing for this long, ms. Default 2,000: 100 steps of 20 ms. */
  readonly stuckMs?: number
  /** How long a provider may take to load and run once, ms. */
  readonly startMs?: Partial<Record<Provider, number>>
  /** Steps that may be with the child at once. Default 2: one running, one ready. */
  readonly credit?: number
  /** After each respawn: the talk and the readings are forgotten, so tell the readings again. */
  readonly onRespawn?: (respawns: number, reason: string) => void
  /** Taken for the first child. */
  readonly spare?: SpareChild
}

/** A GPU's libraries are gigabytes, to be read from a card; nothing is built here (docs/adr/0020). */
const START_MS: Record<Provider, number> = { tensorrt: 60_000, cuda: 60_000, cpu: 30_000 }
/** Calls that may wait for credit: 5 s of ticks. More means that nobody drops ticks where they should be dropped. */
const MAX_WAITING = 64
/** Lines that are kept for a child that is still to come; the newest matter most. */
const MAX_TOLD = 256
/** Deaths in a row without one good step between them. Then the cause is the bundle or the machine, and trying on only makes heat. */
const MAX_DEATHS = 5

/** The parent's side of a running model: order, credit, abort, and a new child when the old one is lost. */
export class EngineSession implements OmniSession {
  readonly name: string
  readonly inputRate: number
  readonly outputRate: number
  readonly tickSamples: number
  readonly #options: EngineOptions
  readonly #jobs: EngineJobs
  readonly #watchdog: Watchdog
  #spec: StepSpec
  #child: ModelProcess | undefined
  #ready: Extract<Message, { type: 'ready' }> | undefined
  #trying: Provider | undefined
  #refusals: Refusal[] = []
  #starting: { resolve: () => void; reject: (error: unknown) => void } | undefined
  #facts: Facts = { lines: [], passing: [] }
  /** Lines that the child may not have read to their end. Those that a reset took back stay until the child says that they are
   * over: it counts in the order of telling, and may have begun to before it heard of the reset. */
  #told: { readonly line: string; readonly kind: Told; takenBack: boolean }[] = []
  /** Of the present child: how many of its lines are over. */
  #finished = 0
  #deaths = 0
  #respawns = 0
  #ended: ParleyError | undefined
  #backoff: NodeJS.Timeout | undefined

  /** `refusals`: of rungs that were taken off the spec before. */
  constructor(spec: StepSpec, options: EngineOptions = {}, refusals: readonly Refusal[] = []) {
    this.name = spec.name
    this.inputRate = spec.inputRate
    this.outputRate = spec.outputRate
    this.tickSamples = spec.tickSamples
    this.#spec = spec
    this.#options = options
    this.#refusals = [...refusals]
    this.#jobs = new EngineJobs(options.credit ?? 2, message => this.#child?.send(message))
    this.#watchdog = new Watchdog({
      stuckMs: options.stuckMs ?? 2_000,
      owes: () => this.#jobs.owed > 0,
      ping: () => this.#jobs.ping(),
      kill: reason => this.#child?.kill(reason),
    })
  }

  get provider(): string {
    return this.#ready?.provider ?? 'none'
  }

  get precision(): string {
    return this.#ready?.precision ?? ''
  }

  /** Which providers were not taken, and why. */
  get refusals(): readonly Refusal[] {
    return this.#refusals
  }

  get respawns(): number {
    return this.#respawns
  }

  /** The process of the model, while there is one. */
  get pid(): number | undefined {
    return this.#child?.pid
  }

  /** Resolves when the model is loaded and has run once. `signal` breaks it off, and ends the process, however deep it is in a library. */
  async open(signal?: AbortSignal): Promise<void> {
    signal?.throwIfAborted()
    const started = new Promise<void>((resolve, reject) => { this.#starting = { resolve, reject } })
    const breakOff = (): void => this.#fail(new ParleyError('engine-closed', 'the model was closed while it was loaded', { cause: signal?.reason }))
    signal?.addEventListener('abort', breakOff, { once: true })
    try {
      this.#spawn()
      await started
    } finally {
      signal?.removeEventListener('abort', breakOff)
    }
  }

  step(tick: Tick, signal?: AbortSignal): Promise<Said> {
    if (this.#ended) return Promise.reject(this.#ended)
    if (signal?.aborted) return Promise.reject(signal.reason)
    if (tick.audio.length !== this.tickSamples) return Promise.reject(new ParleyError('tick-size', `a tick has ${this.tickSamples} samples, not ${tick.audio.length}`))
    if (this.#jobs.waiting >= MAX_WAITING) return Promise.reject(new ParleyError('engine-busy', `${MAX_WAITING} ticks wait for the model already`))
    return new Promise<Said>((resolve, reject) => {
      const job: StepJob = { type: 'step', tick, resolve: done(resolve), reject: done(reject), abandoned: false }
      const onAbort = (): void => {
        job.reject(signal?.reason)
        this.#jobs.cancel(job)
      }
      function done<T>(settle: (value: T) => void): (value: T) => void {
        return value => {
          signal?.removeEventListener('abort', onAbort)
          settle(value)
        }
      }
      signal?.addEventListener('abort', onAbort, { once: true })
      this.#jobs.step(job)
    })
  }

  setFacts(facts: readonly string[], passing: readonly string[] = []): Promise<void> {
    if (this.#ended) return Promise.reject(this.#ended)
    const all: Facts = { lines: [...facts], passing: [...passing] }
    return this.#jobs.call({ type: 'facts', ...all }).then(() => { this.#facts = all })
  }

  /** `typed` is a person's turn, `event` a reading or something that happened, `say` what is to be said as it is (lost with the child). */
  tell(line: string, kind: Telling = 'event'): void {
    if (this.#ended) return
    if (kind !== 'say') this.#told.push({ line, kind, takenBack: false })
    if (this.#ready) this.#child?.send({ type: 'tell', line, kind })
    else if (this.#told.length > MAX_TOLD) this.#told.shift()
  }

  async reset(): Promise<void> {
    if (this.#ended) throw this.#ended
    for (const told of this.#told) told.takenBack = true
    await this.#jobs.call({ type: 'reset' })
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#end(new ParleyError('engine-closed', 'the model was closed'))
    const child = this.#child
    this.#child = undefined
    await child?.end()
  }

  #spawn(): void {
    this.#ready = undefined
    this.#finished = 0
    this.#trying = undefined
    const child: ModelProcess = new ModelProcess({
      message: message => { if (child === this.#child) this.#take(message) },
      lost: reason => { if (child === this.#child) this.#lost(reason) },
    }, this.#options.spare?.take())
    this.#child = child
    this.#watchdog.startup(this.#startMs('cpu'))
    child.send({ type: 'open', spec: this.#spec })
  }

  #startMs(provider: Provider): number {
    return this.#options.startMs?.[provider] ?? START_MS[provider]
  }

  #take(message: Message): void {
    this.#watchdog.progress()
    switch (message.type) {
      case 'trying':
        this.#trying = message.provider
        this.#watchdog.startup(this.#startMs(message.provider))
        return
      case 'ready':
        return this.#loaded(message)
      case 'said':
        this.#deaths = 0
        this.#told.splice(0, message.finished - this.#finished)
        this.#finished = message.finished
        return this.#jobs.said(message.id, message.said)
      case 'done':
        return this.#jobs.done(message.id)
      case 'cancelled':
        return this.#jobs.cancelled(message.id)
      case 'failed': {
        const error = new ParleyError(message.code, message.message, message.hint ? { hint: message.hint } : {})
        if (message.id === 0) this.#fail(error)
        else this.#jobs.failed(message.id, error)
        return
      }
      case 'alive':
        return
      default:
        this.#child?.kill(`it sent ${message.type}, which only a parent says`)
    }
  }

  #loaded(ready: Extract<Message, { type: 'ready' }>): void {
    this.#ready = ready
    // a respawn goes straight to the rung that held: trying the others again takes time, and may take the process down
    this.#refusals.push(...ready.refusals)
    this.#spec = { ...this.#spec, rungs: this.#spec.rungs.slice(this.#spec.rungs.findIndex(r => r.provider === ready.provider)) }
    this.#watchdog.running()
    if (this.#facts.lines.length + this.#facts.passing.length > 0) void this.#jobs.restore(this.#facts)
    this.#told = this.#told.filter(told => !told.takenBack)
    for (const { line, kind } of this.#told) this.#child?.send({ type: 'tell', line, kind })
    this.#jobs.connect()
    this.#starting?.resolve()
    this.#starting = undefined
  }

  #lost(reason: string): void {
    this.#watchdog.stop()
    this.#child = undefined
    const provider = this.#ready ? undefined : this.#trying
    this.#ready = undefined
    this.#jobs.disconnect(new ParleyError('engine-lost', `the model's process was lost: ${reason}`, { hint: 'It starts again by itself.' }))
    if (this.#ended) return
    // a provider that takes the process down while it loads is a refused rung, not a reason to try it again
    if (provider && provider !== this.#spec.rungs.at(-1)?.provider && (this.#starting || this.#deaths > 0)) {
      this.#refusals.push({ provider, reason: `it took the process down: ${reason}` })
      this.#spec = { ...this.#spec, rungs: this.#spec.rungs.filter(r => r.provider !== provider) }
      return this.#spawn()
    }
    this.#deaths++
    if (this.#starting || this.#deaths >= MAX_DEATHS) {
      return this.#fail(new ParleyError('engine-dead', `the model's process died ${this.#deaths} times without one good step; the last time ${reason}`))
    }
    this.#respawns++
    this.#options.onRespawn?.(this.#respawns, reason)
    // the first at once: a person is waiting; the next ones later and later
    this.#backoff = setTimeout(() => this.#spawn(), this.#deaths === 1 ? 0 : 100 * 4 ** (this.#deaths - 2))
  }

  /** It cannot go on, now or ever. */
  #fail(error: ParleyError): void {
    this.#end(error)
    void this.#child?.end()
    this.#child = undefined
    this.#starting?.reject(error)
    this.#starting = undefined
  }

  #end(error: ParleyError): void {
    this.#ended ??= error
    clearTimeout(this.#backoff)
    this.#watchdog.stop()
    this.#jobs.end(this.#ended)
  }
}
