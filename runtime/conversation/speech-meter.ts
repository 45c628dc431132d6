import type { AudioFrame } from '../../base/frames.js'

/** Loud is this far above the room's floor, dB. */
const OVER_FLOOR_DB = 12
/** Nothing but the room: its hiss swings by some dB around what its softest moments make the floor. */
const ROOM_DB = 6
/** Softer than this is never speech that a microphone was meant to hear, dB of full scale. */
const LEAST_DB = -52
/** Digital silence is no floor: the first hiss of a real room would be speech. */
const LEAST_FLOOR_DB = -70
/** The floor may rise 3 dB a second. */
const RISE_DB_A_MS = 0.003
/** Three loud frames of the last five: a click is not speech. */
const RECENT = 5
const MIN_LOUD = 3
/** A pause between words is shorter than this, ms. */
const PAUSE_MS = 400

/** One stretch of a person's speech; `to` grows while it lasts. Monotonic ms. */
export interface Speech {
  readonly from: number
  to: number
}

/**
 * Tells by loudness when a person's speech begins and ends. Only the stamps of latencies come from it: it never drives the model.
 */
export class SpeechMeter {
  readonly #onChange: (what: 'speech-start' | 'speech-end', at: number) => void
  #floor = LEAST_FLOOR_DB + 10
  #recent: { at: number; loud: boolean }[] = []
  #speaking = false
  #latest: Speech | undefined

  constructor(onChange: (what: 'speech-start' | 'speech-end', at: number) => void) {
    this.#onChange = onChange
  }

  /** The newest stretch of speech, perhaps still going on. */
  get latest(): Speech | undefined {
    return this.#latest
  }

  get speaking(): boolean {
    return this.#speaking
  }

  /** Whether nothing but the room is in it. */
  quiet(samples: Float32Array): boolean {
    return levelDb(samples) < this.#floor + ROOM_DB
  }

  /** Takes each frame in order. `own`: the echo gate found only our own voice in it. */
  hear(frame: AudioFrame, own = false): void {
    const ms = (frame.samples.length * 1000) / frame.rate
    const level = levelDb(frame.samples)
    this.#floor = Math.max(LEAST_FLOOR_DB, Math.min(level, this.#floor + RISE_DB_A_MS * ms))
    const loud = !own && level > Math.max(LEAST_DB, this.#floor + OVER_FLOOR_DB)
    this.#recent = [...this.#recent, { at: frame.at, loud }].slice(-RECENT)
    if (this.#speaking && this.#latest) {
      if (loud) this.#latest.to = frame.at + ms
      else if (frame.at + ms - this.#latest.to >= PAUSE_MS) this.#end()
    } else if (loud && this.#recent.filter(f => f.loud).length >= MIN_LOUD) {
      const from = this.#recent.find(f => f.loud)?.at ?? frame.at
      this.#speaking = true
      this.#latest = { from, to: frame.at + ms }
      this.#onChange('speech-start', from)
    }
  }

  /** No more sound comes. */
  finish(): void {
    if (this.#speaking) this.#end()
  }

  #end(): void {
    this.#speaking = false
    this.#recent = []
    if (this.#latest) this.#onChange('speech-end', this.#latest.to)
  }
}

/** Root mean square, dB of full scale. */
export function levelDb(samples: Float32Array): number {
  let sum = 0
  for (const s of samples) sum += s * s
  return 10 * Math.log10(sum / Math.max(1, samples.length) + 1e-12)
}
