import { ParleyError, describe } from '../../base/errors.js'
import { pause, type Clock } from '../../base/clock.js'
import type { OmniSession } from '../../models/session.js'

export interface KnowledgeParts {
  readonly session: Pick<OmniSession, 'setFacts'>
  readonly clock: Clock
  readonly signal: AbortSignal
  /** While somebody speaks or is spoken to, values wait: to read many of them takes longer than a tick, and would be heard. Default: never. */
  busy?(): boolean
  /** The model has no room for what is measured; told once for each set of facts. */
  onTrouble(code: 'readings-too-long', message: string): void
}

/** A value that changes all the time is read by the model once in so long, ms: each time costs a step a token. */
const READ_EVERY_MS = 5_000
/** How often it looks whether the talk is over, ms. */
const LOOK_MS = 200
/** No talk makes it wait for longer than this, nor a room that is never still, ms. */
const MOST_WAIT_MS = 30_000

/**
 * What the model can be asked at any time: the site's facts and, behind them, the last value of everything that is measured.
 * A measured value is a fact and no event, because an event fades with the talk after some 24 s, and of two values the older
 * one would still stand there.
 */
export class Knowledge {
  readonly #parts: KnowledgeParts
  readonly #measured = new Map<string, string>()
  #facts: readonly string[] = []
  #work: Promise<unknown> = Promise.resolve()
  #readAt = -Infinity
  #waiting = false
  #troubled = false

  constructor(parts: KnowledgeParts) {
    this.#parts = parts
  }

  /** Replaces the facts, `key: value` lines. Rejects, e.g. with `facts-too-long`, and keeps the old ones, if the model refuses. */
  learn(facts: readonly string[]): Promise<void> {
    return this.#next(async () => {
      this.#troubled = false
      await this.#put(facts)
      this.#facts = facts
    })
  }

  /** The last value of `name`, to one decimal. */
  measure(name: string, value: number): void {
    const words = String(Math.round(value * 10) / 10)
    if (this.#measured.get(name) === words) return
    this.#measured.delete(name) // what changes often comes to stand last: what stands before it need not be read again
    this.#measured.set(name, words)
    void this.#readSoon()
  }

  /** Nobody measures it any more: an old value would be a wrong one. */
  forget(name: string): void {
    if (this.#measured.delete(name)) void this.#readSoon()
  }

  async #readSoon(): Promise<void> {
    if (this.#waiting) return
    this.#waiting = true
    const { clock, signal, busy } = this.#parts
    const wait = this.#readAt + READ_EVERY_MS - clock.now()
    if (wait > 0) await pause(clock, wait, signal)
    for (const end = clock.now() + MOST_WAIT_MS; busy?.() && clock.now() < end && !signal.aborted;) await pause(clock, LOOK_MS, signal)
    if (signal.aborted) return
    await this.#next(() => this.#put(this.#facts)).catch(() => {}) // the model is gone; its successor begins with `learn`
  }

  async #put(facts: readonly string[]): Promise<void> {
    const { session, clock, onTrouble } = this.#parts
    this.#waiting = false // a value that comes from now on needs another reading
    this.#readAt = clock.now()
    const measured = [...this.#measured].map(([name, value]) => `${name.replaceAll(':', ' ')}: ${value}`)
    try {
      await session.setFacts(facts, measured)
    } catch (error) {
      if (measured.length === 0 || !(error instanceof ParleyError) || error.code !== 'facts-too-long') throw error
      await session.setFacts(facts)
      if (!this.#troubled) onTrouble('readings-too-long', `the model knows the facts and no measured value: ${describe(error)}`)
      this.#troubled = true
    }
  }

  #next(work: () => Promise<void>): Promise<void> {
    const done = this.#work.then(work)
    this.#work = done.catch(() => {})
    return done
  }
}
