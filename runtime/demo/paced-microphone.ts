import { pause, type Clock } from '../../base/clock.js'
import { MIC_RATE, type AudioFrame } from '../../base/frames.js'
import type { Health, Microphone } from '../../drivers/contract.js'

const FRAME = MIC_RATE / 50

/** A microphone in a silent room, in real time, into which recordings are said. */
export class PacedMicrophone implements Microphone {
  readonly kind = 'microphone'
  readonly name = 'microphone'
  readonly rate = MIC_RATE
  readonly #clock: Clock
  readonly #closing = new AbortController()
  #rest = new Float32Array(0)
  #done: (() => void) | undefined
  #count = 0
  #lastAt = 0

  constructor(clock: Clock) {
    this.#clock = clock
  }

  /** Resolves when the last sample has been captured. 16 kHz. */
  async say(samples: Float32Array): Promise<void> {
    this.#rest = Float32Array.from(samples)
    await new Promise<void>(resolve => { this.#done = resolve })
  }

  async *frames(): AsyncGenerator<AudioFrame> {
    const startAt = this.#clock.now()
    const { signal } = this.#closing
    for (; ; this.#count++) {
      const at = startAt + this.#count * 20
      await pause(this.#clock, at + 20 - this.#clock.now(), signal)
      if (signal.aborted) return
      const samples = new Float32Array(FRAME)
      samples.set(this.#rest.subarray(0, FRAME))
      this.#rest = this.#rest.slice(FRAME)
      this.#lastAt = this.#clock.now()
      yield { at, rate: MIC_RATE, samples, dropped: 0 }
      if (this.#rest.length === 0) this.#done?.()
    }
  }

  health(): Health {
    return { ok: true, lastProgressAt: this.#lastAt, counters: { frames: this.#count } }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#closing.abort()
    this.#done?.()
  }
}
