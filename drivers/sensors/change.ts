import type { Reading } from '../../base/frames.js'

export type Value = Reading['value']

/** Decides whether a value is news: beyond the hysteresis for numbers, different for all else, and not sooner than `minIntervalMs`. */
export class Change {
  readonly #hysteresis: number
  readonly #minIntervalMs: number
  #last: Value | undefined
  #lastAt = -Infinity

  constructor(hysteresis: number, minIntervalMs: number) {
    this.#hysteresis = hysteresis
    this.#minIntervalMs = minIntervalMs
  }

  /** True if the value is to be told. A change that came too soon is told by a later call, if it still stands. */
  isNews(value: Value, at: number): boolean {
    if (at - this.#lastAt < this.#minIntervalMs || !this.#differs(value)) return false
    this.#last = value
    this.#lastAt = at
    return true
  }

  #differs(value: Value): boolean {
    const last = this.#last
    if (typeof value !== 'number' || typeof last !== 'number') return value !== last
    const change = Math.abs(value - last)
    return change > 0 && change >= this.#hysteresis
  }
}
