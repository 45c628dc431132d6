import { Fft } from './fft.js'

/** The search runs at 4 kHz: speech has most of its energy below 2 kHz, and 0.25 ms is finer than the gate needs. */
const DECIMATE = 4
const RATE = 4_000
/** 1 s of sound a look. */
const LENGTH = 4_096
const SIZE = 2 * LENGTH
/** Sound servers, USB and Bluetooth take up to this much from a write to the microphone, ms. */
export const MAX_DELAY_MS = 500
/** A sound server that stood still plays on up to this late, ms; until it has caught up, a few ms earlier each second. */
export const MAX_LATE_MS = 1_000
/** Stamps may be wrong by this much the other way, ms. */
export const MIN_DELAY_MS = -20
/** A peak this far above the other lags' root mean square is no chance: noise reaches 4.5 in 2,080 lags. */
const CLEAR_PEAK = 8
const AGREE_MS = 3

/** Finds how late the microphone hears the speaker, by generalised cross-correlation with phase transform (Knapp and Carter 1976). */
export class DelayFinder {
  readonly #fft = new Fft(SIZE)
  #candidate: number | undefined
  #delayMs: number | undefined

  /** Ms from being due at the speaker to the microphone's stamp; undefined until two looks agreed. */
  get delayMs(): number | undefined {
    return this.#delayMs
  }

  /** Says that the delay is another now, found by other means. */
  moved(delayMs: number): void {
    this.#delayMs = this.#candidate = delayMs
  }

  /** Takes 1.024 s (16,384 samples at 16 kHz) of both, on the same time line. */
  look(microphone: Float32Array, reference: Float32Array): void {
    const m = this.#spectrum(microphone)
    const r = this.#spectrum(reference)
    const re = new Float64Array(SIZE)
    const im = new Float64Array(SIZE)
    for (let i = 0; i < SIZE; i++) {
      const a = m.re[i]! * r.re[i]! + m.im[i]! * r.im[i]!
      const b = m.im[i]! * r.re[i]! - m.re[i]! * r.im[i]!
      const size = Math.hypot(a, b) + 1e-9
      re[i] = a / size
      im[i] = b / size
    }
    this.#fft.inverse(re, im)
    const first = (MIN_DELAY_MS * RATE) / 1000
    const last = (MAX_DELAY_MS * RATE) / 1000
    let best = first
    let power = 0
    for (let lag = first; lag <= last; lag++) {
      const value = re[(lag + SIZE) % SIZE]!
      power += value * value
      if (value > re[(best + SIZE) % SIZE]!) best = lag
    }
    const rms = Math.sqrt(power / (last - first + 1))
    if (re[(best + SIZE) % SIZE]! < CLEAR_PEAK * rms) return
    const found = (best * 1000) / RATE
    if (this.#candidate !== undefined && Math.abs(found - this.#candidate) <= AGREE_MS) this.#delayMs = found
    this.#candidate = found
  }

  #spectrum(samples: Float32Array): { re: Float64Array; im: Float64Array } {
    const re = new Float64Array(SIZE)
    const im = new Float64Array(SIZE)
    for (let i = 0; i < LENGTH; i++) {
      let sum = 0
      for (let k = 0; k < DECIMATE; k++) sum += samples[i * DECIMATE + k] ?? 0
      re[i] = sum / DECIMATE
    }
    this.#fft.forward(re, im)
    return { re, im }
  }
}
