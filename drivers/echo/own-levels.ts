import { MIC_RATE } from '../../base/frames.js'
import { BANDS, WINDOW, bandLevels } from './bands.js'
import { MAX_DELAY_MS, MAX_LATE_MS } from './delay-finder.js'
import type { PlaybackReference } from './reference.js'

/** A band of our own sound below this is too soft to be heard back or to learn from, dB. */
export const REFERENCE_FLOOR_DB = -75
/** Nothing is softer, dB. */
const FLOOR_DB = -108
/** The room's echo falls by at least this much a frame, dB (3 dB in 20 ms: 0.4 s for 60 dB). */
const TAIL_DB = 3
/** A device that ran dry plays on this many frames later: 120 ms. Once it starts anew it may be as early as ever. */
const JUMP_FRAMES = 6
const DELAY_FRAMES = MAX_DELAY_MS / 20
/** Levels are kept for as late as a device may become, with a jump and what is read around it: 1.2 s. */
const MOST_FRAMES = MAX_LATE_MS / 20 + JUMP_FRAMES + 4
const SILENCE = new Float64Array(BANDS).fill(FLOOR_DB)
const WINDOW_MS = (WINDOW * 1000) / MIC_RATE

/** How loud our own sound can be in each band of a microphone frame, before the room's gain: dB. */
export interface Explained {
  /** At the delay that was found. */
  readonly expected: Float64Array
  /** At least, at that delay give or take a frame: where even that is missing, the device plays something else or nothing. */
  readonly least: Float64Array
  /** If the device were up to 120 ms later than it was, or any time earlier; once it was lost, later too. */
  readonly possible: Float64Array
  /** Whether anything of ours can be in it, by that. */
  readonly sounding: boolean
}

/** Follows our own sound's levels, frame by frame, and tells which of them a microphone frame can hold. */
export class OwnLevels {
  readonly #reference: PlaybackReference
  /** Newest first: [0] is 20 ms after the frame at hand, [1] beside it, and so on. */
  readonly #levels: Float64Array[] = []
  readonly #expected = SILENCE.slice()
  readonly #possible = SILENCE.slice()
  readonly #least = SILENCE.slice()

  constructor(reference: PlaybackReference) {
    this.#reference = reference
  }

  /** For the frame that ends at monotonic ms `endAt`; each frame once, in order. Until the delay is known it may be any. */
  next(endAt: number, delayMs: number | undefined, lost: boolean): Explained {
    const sound = this.#reference.read(endAt + 20 - WINDOW_MS, WINDOW)
    this.#levels.unshift(sound.some(s => s !== 0) ? bandLevels(sound) : SILENCE)
    this.#levels.length = Math.min(this.#levels.length, MOST_FRAMES)
    const [from, to] = delayMs === undefined ? [0, DELAY_FRAMES + 2] : [Math.floor(delayMs / 20), Math.ceil(delayMs / 20) + 2]
    const possible = this.#loudest(this.#possible, 0, lost ? MOST_FRAMES : to + JUMP_FRAMES)
    return { expected: this.#loudest(this.#expected, from, to), least: this.#softest(from, to), possible, sounding: possible.some(level => level > REFERENCE_FLOOR_DB) }
  }

  #loudest(tail: Float64Array, from: number, to: number): Float64Array {
    for (let b = 0; b < BANDS; b++) tail[b] = Math.max(FLOOR_DB, tail[b]! - TAIL_DB)
    for (const levels of this.#levels.slice(Math.max(0, from), to + 1)) for (let b = 0; b < BANDS; b++) tail[b] = Math.max(tail[b]!, levels[b]!)
    return tail
  }

  #softest(from: number, to: number): Float64Array {
    this.#least.fill(Infinity)
    for (const levels of this.#levels.slice(Math.max(0, from), to + 1)) for (let b = 0; b < BANDS; b++) this.#least[b] = Math.min(this.#least[b]!, levels[b]!)
    return this.#least
  }
}
