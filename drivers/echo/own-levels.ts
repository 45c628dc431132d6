import { MIC_RATE } from '../../base/frames.js'
import { BANDS, WINDOW, bandLevels } from './bands.js'
import { MAX_DELAY_MS } from './delay-finder.js'
import type { PlaybackReference } from './reference.js'

/** Nothing is softer, dB. */
const FLOOR_DB = -108
/** The room's echo falls by at least this much a frame, dB (3 dB in 20 ms: 0.4 s for 60 dB). */
const TAIL_DB = 3
/** A device that ran dry plays on this many frames later, or earlier once it starts anew: 120 ms. */
const JUMP_FRAMES = 6
const DELAY_FRAMES = MAX_DELAY_MS / 20
/** Levels are kept for as late as a device may become: 1.2 s. */
const MOST_FRAMES = 60
const SILENCE = new Float64Array(BANDS).fill(FLOOR_DB)
const WINDOW_MS = (WINDOW * 1000) / MIC_RATE

/** How loud our own sound can be in each band of a microphone frame, before the room's gain: dB. */
export interface Explained {
  /** At the delay that was found. */
  readonly expected: Float64Array
  /** If the device were up to 120 ms earlier or later than it was. */
  readonly possible: Float64Array
}

/** Follows our own sound's levels, frame by frame, and tells which of them a microphone frame can hold. */
export class OwnLevels {
  readonly #reference: PlaybackReference
  /** Newest first: [0] is 20 ms after the frame at hand, [1] beside it, and so on. */
  readonly #levels: Float64Array[] = []
  readonly #expected = SILENCE.slice()
  readonly #possible = SILENCE.slice()

  constructor(reference: PlaybackReference) {
    this.#reference = reference
  }

  /** For the frame that ends at monotonic ms `endAt`; each frame once, in order. Until the delay is known it may be any. */
  next(endAt: number, delayMs: number | undefined): Explained {
    const sound = this.#reference.read(endAt + 20 - WINDOW_MS, WINDOW)
    this.#levels.unshift(sound.some(s => s !== 0) ? bandLevels(sound) : SILENCE)
    this.#levels.length = Math.min(this.#levels.length, MOST_FRAMES)
    const [from, to] = delayMs === undefined ? [0, DELAY_FRAMES + 2] : [Math.floor(delayMs / 20), Math.ceil(delayMs / 20) + 2]
    return { expected: this.#loudest(this.#expected, from, to), possible: this.#loudest(this.#possible, from - JUMP_FRAMES, to + JUMP_FRAMES) }
  }

  #loudest(tail: Float64Array, from: number, to: number): Float64Array {
    for (let b = 0; b < BANDS; b++) tail[b] = Math.max(FLOOR_DB, tail[b]! - TAIL_DB)
    for (const levels of this.#levels.slice(Math.max(0, from), to + 1)) for (let b = 0; b < BANDS; b++) tail[b] = Math.max(tail[b]!, levels[b]!)
    return tail
  }
}
