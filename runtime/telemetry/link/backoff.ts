const BASE_MS = 1_000
/** A broker with 100,000 devices then sees 1,700 connects a second after a restart. */
const CAP_MS = 60_000
/** A connection that was kicked or died before this was no success, and must not start the limit anew. */
export const STABLE_MS = 30_000

/** A good connection ends for a whole fleet at once when its broker restarts: the first limit is then 8 s, or a quarter of the fleet came within a second. */
const AFTER_LOSS = 3

/** Full jitter: a random time between 0 and a limit that doubles from 1 to 60 s. Source: AWS Architecture Blog, "Exponential backoff and jitter". */
export class Backoff {
  readonly #random: () => number
  #attempt = 0

  constructor(random: () => number = Math.random) {
    this.#random = random
  }

  /** How long to wait before the next try, ms. */
  next(): number {
    const limit = Math.min(CAP_MS, BASE_MS * 2 ** this.#attempt)
    this.#attempt = Math.min(this.#attempt + 1, 16)
    return this.#random() * limit
  }

  /** How long the connection lasted that has just ended, ms. */
  lasted(ms: number): void {
    if (ms >= STABLE_MS) this.#attempt = AFTER_LOSS
  }
}
