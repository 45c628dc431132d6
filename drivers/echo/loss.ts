import { BANDS } from './bands.js'
import type { Coupling } from './coupling.js'

/** Our own sound is missing where it should be so far above the floor, and is so far below its least, dB… */
const MISSING_OVER_DB = 25
const MISSING_UNDER_DB = 20
/** …in so many bands of 20 and so many frames on end: the device stands still, and what comes next may be late by any time. */
const MISSING_BANDS = 8
const MISSING_FRAMES = 3
/** Where our voice comes back this soft, dB, a canceller is at work, which takes all of it away now and then. */
const CANCELLED_DB = -12
/** So long after it, 1 s, our own sound is looked for everywhere, and somebody else must stand out for longer. */
const LOST_FRAMES = 50

/** Notices that the speaker stands still while we play: a device that ran dry, a sound server or a machine that was stopped. */
export class Loss {
  #missing = 0
  #left = 0

  /** Whether our own sound may come back at any delay. */
  get lost(): boolean {
    return this.#left > 0
  }

  /** Levels of the microphone, the least of our own sound before the room's gain, the room's floor: dB in each band; each frame once. */
  follow(levels: Float64Array, least: Float64Array, floor: Float64Array, coupling: Coupling): void {
    let bands = 0
    for (let b = 0; b < BANDS; b++) {
      const ours = least[b]! + coupling.gain(b)
      if (ours > floor[b]! + MISSING_OVER_DB && levels[b]! < ours - MISSING_UNDER_DB) bands++
    }
    const heardBack = coupling.known && coupling.meanDb! > CANCELLED_DB
    this.#missing = heardBack && bands >= MISSING_BANDS ? this.#missing + 1 : 0
    this.#left = this.#missing >= MISSING_FRAMES ? LOST_FRAMES : Math.max(0, this.#left - 1)
  }
}
