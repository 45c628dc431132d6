import type { Tick } from '../../models/session.js'

/** While it dozes the model steps one tick in so many: still often enough for a watchdog, and a fifth of the heat. */
const EVERY = 5
/** A word begins softly, before its first loud tick: so many ticks before it are stepped, too. */
const LEAD_IN = 3

/** Leaves out ticks in which there is nothing to hear, where the chip needs its rest. One that has something is stepped at once, with those just before it. */
export class Doze {
  #left: Tick[] = []
  #count = 0

  /** What to step now, in order. `may`: nobody speaks in this tick, and the model has nothing to do. */
  due(tick: Tick, may: boolean): readonly Tick[] {
    if (may && this.#count < EVERY - 1) {
      this.#count++
      this.#left = [...this.#left, tick].slice(-LEAD_IN)
      return []
    }
    const due = may ? [tick] : [...this.#left, tick]
    this.#left = []
    this.#count = 0
    return due
  }
}
