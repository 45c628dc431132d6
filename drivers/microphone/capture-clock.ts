/** Clocks of sound cards and computers part by less than this: 0.2 ms a second (200 ppm). */
const DRIFT = 0.0002

/**
 * When samples were captured, from when they arrived. A pipe, a scheduler or a busy event loop can only delay a block,
 * so the earliest arrival seen (allowing for drift) dates the stream, and later blocks are dated by counting samples.
 */
export class CaptureClock {
  readonly #rate: number
  readonly #latencyMs: number
  #origin = Infinity
  #lastArrival = 0

  /** `latencyMs`: what a sample takes from the air to our pipe when nothing delays it. */
  constructor(rate: number, latencyMs: number) {
    this.#rate = rate
    this.#latencyMs = latencyMs
  }

  /** Tells that `total` samples in all have arrived by `arrival` (monotonic ms). */
  arrived(total: number, arrival: number): void {
    const origin = arrival - (total * 1000) / this.#rate
    const drifted = this.#origin === Infinity ? Infinity : this.#origin + (arrival - this.#lastArrival) * DRIFT
    this.#origin = Math.min(drifted, origin)
    this.#lastArrival = arrival
  }

  /** Monotonic ms at which sample number `index` was captured. */
  at(index: number): number {
    return this.#origin - this.#latencyMs + (index * 1000) / this.#rate
  }
}
