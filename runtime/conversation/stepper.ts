import { pause, type Clock } from '../../base/clock.js'
import { ParleyError, describe } from '../../base/errors.js'
import type { OmniSession, Said, Tick } from '../../models/session.js'
import { ENGINE_CODES, type EngineCode } from './events.js'

/** A trouble that lasts is told again only so often, ms. */
const AGAIN_MS = 10_000
/** A recording is not live: its ticks wait for the model, but not for ever, ms. */
const PATIENCE_MS = 30_000

export interface Trouble {
  readonly code: EngineCode
  readonly message: string
  readonly hint?: string
  /** Ticks that were lost in a row. */
  readonly count: number
  /** False while the step is still waited for. */
  readonly lost: boolean
}

/** Runs one step after the other, with a limit. Never throws: a lost or stalled step is told once, and gives undefined. */
export class Stepper {
  readonly #session: OmniSession
  readonly #clock: Clock
  readonly #stallMs: number
  readonly #lossless: boolean
  readonly #onTrouble: (trouble: Trouble) => void
  readonly #closing = new AbortController()
  /** A step was given up and has not settled: the next one would only wait behind it. */
  #stuck = false
  #lost = 0
  #toldAt = -Infinity
  #lastStepAt: number

  /** `lossless`: a stalled step is told, and waited for all the same. `clock`: real time, also where the ticks' time is not. */
  constructor(session: OmniSession, clock: Clock, options: { stallMs: number; lossless: boolean }, onTrouble: (trouble: Trouble) => void) {
    this.#session = session
    this.#clock = clock
    this.#stallMs = options.stallMs
    this.#lossless = options.lossless
    this.#onTrouble = onTrouble
    this.#lastStepAt = clock.now()
  }

  /** Monotonic ms of the last good step. */
  get lastStepAt(): number {
    return this.#lastStepAt
  }

  async step(tick: Tick): Promise<Said | undefined> {
    if (this.#stuck || this.#closing.signal.aborted) {
      this.#lose('engine-stalled', 'the model still does not answer', undefined)
      return undefined
    }
    const giveUp = new AbortController()
    let settled = false
    // The promise below is awaited on one path only: without a catch on it, the other path would end the process.
    const work = this.#begin(tick, giveUp.signal).finally(() => { settled = true; this.#stuck = false })
    work.catch(() => {})
    try {
      let said = await this.#race(work, this.#stallMs)
      if (said === undefined && this.#lossless && !this.#closing.signal.aborted) {
        this.#tell('engine-stalled', `the model took longer than ${this.#stallMs} ms for a step`, undefined, 0)
        said = await this.#race(work, PATIENCE_MS)
      }
      if (said) {
        this.#lost = 0
        this.#lastStepAt = this.#clock.now()
        return said
      }
      this.#stuck = !settled
      giveUp.abort(new ParleyError('engine-stalled', 'the step took too long'))
      this.#lose('engine-stalled', `the model took longer than ${this.#stallMs} ms for a step`, undefined)
    } catch (error) {
      this.#lose(codeOf(error), describe(error), error instanceof ParleyError ? error.hint : undefined)
    }
    return undefined
  }

  /** Lets go of a step that is under way. */
  close(): void {
    this.#closing.abort()
  }

  async #begin(tick: Tick, signal: AbortSignal): Promise<Said> {
    return this.#session.step(tick, signal) // inside an async function, so that a session that throws is one that rejects
  }

  /** What `work` gives, or undefined after `ms`. */
  async #race(work: Promise<Said>, ms: number): Promise<Said | undefined> {
    const timer = new AbortController()
    const stop = (): void => timer.abort()
    this.#closing.signal.addEventListener('abort', stop, { once: true })
    const late = pause(this.#clock, ms, timer.signal) // aborted: the step won, or we close
    try {
      return await Promise.race([work, late.then(() => undefined)])
    } finally {
      this.#closing.signal.removeEventListener('abort', stop)
      timer.abort()
    }
  }

  #lose(code: EngineCode, message: string, hint: string | undefined): void {
    this.#lost++
    if (this.#closing.signal.aborted) return
    if (this.#lost === 1 || this.#clock.now() - this.#toldAt >= AGAIN_MS) this.#tell(code, message, hint, this.#lost)
  }

  #tell(code: EngineCode, message: string, hint: string | undefined, count: number): void {
    this.#toldAt = this.#clock.now()
    this.#onTrouble({ code, message, count, lost: count > 0, ...(hint ? { hint } : {}) })
  }
}

/** Whatever the model's process says of itself, those who read the events know it by a few codes. */
function codeOf(error: unknown): EngineCode {
  return ENGINE_CODES.find(code => error instanceof ParleyError && error.code === code) ?? 'engine-failed'
}
