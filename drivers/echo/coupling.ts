import { BANDS } from './bands.js'

/** Frames of our own sound after which the first estimate stands: 0.6 s. */
const FIRST_FRAMES = 30
/** The part of echo-only frames that lies under the estimate. */
const QUANTILE = 0.95
/** Frames until most sounds of speech were heard back: 3 s. */
const SETTLED_FRAMES = 150
/** And where the middle of them lies: how far they scatter. */
const MIDDLE = 0.5
/** dB a frame, at most, that the estimate follows. */
const STEP_DB = 1
/** Before anything is known, the microphone may hear the speaker this much louder than it was sent, dB. */
const WORST_DB = 30

/**
 * How loud the microphone hears what the speaker plays, dB in each band: a high quantile of the ratio, followed frame by frame.
 * It also covers what no model of the room knows, such as the canceller's own residue.
 */
export class Coupling {
  readonly #gain = new Float64Array(BANDS).fill(WORST_DB)
  readonly #middle = new Float64Array(BANDS).fill(WORST_DB)
  #frames = 0
  readonly #first: number[][] = Array.from({ length: BANDS }, () => [])

  /** dB to add to the reference's level. */
  gain(band: number): number {
    return this.#gain[band]!
  }

  /**
   * How far the ratio scatters upwards, dB. A room keeps it within a few; behind a canceller it is large, because the canceller
   * takes away now more, now less.
   */
  spread(band: number): number {
    return Math.max(0, this.#gain[band]! - this.#middle[band]!)
  }

  /** Whether enough echo was heard in most bands to judge by. */
  get known(): boolean {
    return this.#first.filter(ratios => ratios.length >= FIRST_FRAMES).length > BANDS / 2
  }

  /** Whether the estimate has seen enough sounds to be trusted closely. */
  get settled(): boolean {
    return this.#frames > SETTLED_FRAMES
  }

  /** Tells that one more frame was learnt from. */
  next(): void {
    this.#frames++
  }

  /** The mean over the bands that are known, dB; undefined before. */
  get meanDb(): number | undefined {
    const known = [...this.#gain].filter((_, b) => this.#first[b]!.length >= FIRST_FRAMES)
    return known.length ? known.reduce((a, b) => a + b) / known.length : undefined
  }

  /** Takes one band's ratio (dB) in a frame in which the reference was loud enough to tell. */
  learn(band: number, ratio: number, speed = 1): void {
    const first = this.#first[band]!
    if (first.length < FIRST_FRAMES) {
      first.push(ratio)
      if (first.length === FIRST_FRAMES) {
        const sorted = [...first].sort((a, b) => a - b)
        this.#gain[band] = sorted[Math.floor(FIRST_FRAMES * QUANTILE)]!
        this.#middle[band] = sorted[Math.floor(FIRST_FRAMES * MIDDLE)]!
      }
      return
    }
    const error = ratio - this.#gain[band]!
    // Far above: our own volume was raised. The step grows, so that it is followed in tens of frames.
    const step = STEP_DB * speed * (error > 0 ? Math.min(3, Math.max(1, error / 3)) : 1)
    this.#gain[band]! += error > 0 ? step * QUANTILE : -step * (1 - QUANTILE)
    this.#middle[band]! += Math.sign(ratio - this.#middle[band]!) * STEP_DB * speed * MIDDLE
  }
}
