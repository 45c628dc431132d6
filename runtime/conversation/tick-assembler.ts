import type { AudioFrame } from '../../base/frames.js'
import { Resampler } from '../../base/resample.js'
import type { Tick } from '../../models/session.js'

/** A gap is filled with silence up to this; beyond it whole ticks are left out: nobody needs ten silent seconds late. */
const MOST_FILL_MS = 400

/** Cuts the microphone's frames into the model's ticks. Each tick carries the capture time of its own first sample. */
export class TickAssembler {
  readonly #rate: number
  readonly #size: number
  #tick: Float32Array
  #filled = 0
  #at = 0
  /** Monotonic ms at which the newest sample ended. */
  #endAt: number | undefined
  /** Samples of silence that were put in for a microphone that gave nothing. */
  #padded = 0
  #skipped = 0
  #resampler: Resampler | undefined

  /** `rate`: the model's; `size`: samples of a tick. */
  constructor(rate: number, size: number) {
    this.#rate = rate
    this.#size = size
    this.#tick = new Float32Array(size)
  }

  /** Ticks left out because a gap was long. */
  get skipped(): number {
    return this.#skipped
  }

  get endAt(): number | undefined {
    return this.#endAt
  }

  push(frame: AudioFrame): Tick[] {
    const ticks: Tick[] = []
    const samples = this.#atRate(frame)
    // What the clock has filled already is not filled twice; where it filled too much, that part of the frame is late and goes.
    const gap = Math.round((frame.dropped * this.#rate) / frame.rate) - this.#padded
    this.#padded = Math.max(0, -gap)
    if (gap > 0) this.#silence(this.#shorten(gap), frame.at, ticks)
    const late = Math.min(this.#padded, samples.length)
    this.#padded -= late
    this.#append(samples.subarray(late), frame.at + (late * 1000) / this.#rate, ticks)
    this.#endAt = frame.at + (frame.samples.length * 1000) / frame.rate
    return ticks
  }

  /** Goes on with silence up to monotonic ms `until`, because the microphone gives nothing. */
  pass(until: number): Tick[] {
    const ticks: Tick[] = []
    if (this.#endAt === undefined) this.#endAt = until
    const count = Math.floor(((until - this.#endAt) * this.#rate) / 1000)
    if (count <= 0) return ticks
    this.#padded += count
    this.#silence(this.#shorten(count), until, ticks)
    this.#endAt += (count * 1000) / this.#rate
    return ticks
  }

  #shorten(gap: number): number {
    const whole = Math.floor((gap - (MOST_FILL_MS * this.#rate) / 1000) / this.#size)
    if (whole <= 0) return gap
    this.#skipped += whole
    return gap - whole * this.#size
  }

  #silence(count: number, endAt: number, ticks: Tick[]): void {
    this.#append(new Float32Array(count), endAt - (count * 1000) / this.#rate, ticks)
  }

  #append(samples: Float32Array, at: number, ticks: Tick[]): void {
    for (let from = 0; from < samples.length;) {
      if (this.#filled === 0) this.#at = at + (from * 1000) / this.#rate
      const part = samples.subarray(from, from + this.#size - this.#filled)
      this.#tick.set(part, this.#filled)
      this.#filled += part.length
      from += part.length
      if (this.#filled < this.#size) return
      ticks.push({ at: this.#at, audio: this.#tick })
      this.#tick = new Float32Array(this.#size)
      this.#filled = 0
    }
  }

  #atRate(frame: AudioFrame): Float32Array {
    if (frame.rate === this.#rate) return frame.samples
    if (this.#resampler?.from !== frame.rate) this.#resampler = new Resampler(frame.rate, this.#rate)
    return this.#resampler.process(frame.samples)
  }
}
