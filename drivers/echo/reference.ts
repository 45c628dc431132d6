import { MIC_RATE, type AudioFrame } from '../../base/frames.js'
import { Resampler } from '../../base/resample.js'
import type { PlaybackListener } from '../contract.js'

/** 4 s: more than any delay and any look back. */
const SIZE = 1 << 16
/** Samples between frames that still are one sound: 10 ms, by which a device may take a frame late and play on without a hole. */
const JOIN = 160

/** What our own speaker plays, 16 kHz, to be read at any monotonic time of the last seconds; silence where nothing was played. */
export class PlaybackReference implements PlaybackListener {
  readonly #ring = new Float32Array(SIZE)
  /** One past the newest sample; samples are counted from monotonic time zero. */
  #end = 0
  #resampler: Resampler | undefined
  #nextAt = -Infinity

  /** Monotonic ms up to which something was played. */
  get endAt(): number {
    return (this.#end * 1000) / MIC_RATE
  }

  played({ at, rate, samples }: Pick<AudioFrame, 'at' | 'rate' | 'samples'>): void {
    if (rate === MIC_RATE) return this.#put(at, samples)
    // Frames that follow each other are one stream; a gap begins a new one.
    const follows = this.#resampler?.from === rate && Math.abs(at - this.#nextAt) < 1
    const resampler = follows ? this.#resampler! : new Resampler(rate, MIC_RATE)
    this.#resampler = resampler
    this.#nextAt = at + (samples.length * 1000) / rate
    this.#put(follows ? this.endAt : at, resampler.process(samples))
  }

  cut(at: number): void {
    this.#nextAt = -Infinity
    const from = Math.max(Math.round((at * MIC_RATE) / 1000), this.#end - SIZE)
    for (let i = from; i < this.#end; i++) this.#ring[i & (SIZE - 1)] = 0
    this.#end = Math.min(this.#end, Math.max(from, 0))
  }

  /** `count` samples from monotonic ms `at`. */
  read(at: number, count: number): Float32Array {
    const out = new Float32Array(count)
    const from = Math.round((at * MIC_RATE) / 1000)
    for (let i = Math.max(0, this.#end - SIZE - from); i < count && from + i < this.#end; i++) {
      if (from + i >= 0) out[i] = this.#ring[(from + i) & (SIZE - 1)]!
    }
    return out
  }

  #put(at: number, samples: Float32Array): void {
    let index = Math.round((at * MIC_RATE) / 1000)
    if (Math.abs(index - this.#end) <= JOIN) index = this.#end
    for (let i = Math.max(this.#end, index - SIZE); i < index; i++) this.#ring[i & (SIZE - 1)] = 0
    for (let i = 0; i < samples.length; i++) this.#ring[(index + i) & (SIZE - 1)] = samples[i]!
    this.#end = Math.max(this.#end, index + samples.length)
  }
}
