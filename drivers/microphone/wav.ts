import { pause } from '../../base/clock.js'
import { z } from 'zod'
import type { Health, Host, Microphone } from '../contract.js'
import { childAbort } from '../../base/abort.js'
import { MIC_RATE, type AudioFrame } from '../../base/frames.js'
import { Resampler } from '../../base/resample.js'
import { WavReader } from '../../base/wav.js'

export const schema = z.strictObject({
  driver: z.literal('wav'),
  name: z.string().min(1).default('microphone'),
  path: z.string().min(1),
  /** `real`: a frame comes when its last sample would have been captured, by the clock. `fast`: as soon as it is asked for. */
  pace: z.enum(['real', 'fast']).default('real'),
  /** Silence after the file's end, ms, in which the last answer can be given. */
  tailMs: z.number().int().min(0).max(600_000).default(0),
})
export type Config = z.infer<typeof schema>

const FRAME = MIC_RATE / 50

/** A recording in place of a microphone: any PCM WAV, brought to 16 kHz mono. Nothing is dropped: a slow consumer makes it late. */
export class WavMicrophone implements Microphone {
  readonly kind = 'microphone'
  readonly rate = MIC_RATE
  readonly name: string
  readonly #config: Config
  readonly #host: Host
  readonly #reader: WavReader
  readonly #closing: AbortController
  #startAt: number | undefined
  #count = 0
  /** Resolves when the file is closed. */
  #closed: Promise<void> | undefined
  #lastAt: number

  constructor(config: Config, host: Host, reader: WavReader) {
    this.name = config.name
    this.#config = config
    this.#host = host
    this.#reader = reader
    this.#closing = childAbort(host.signal)
    this.#closing.signal.addEventListener('abort', () => {
      this.#closed = reader[Symbol.asyncDispose]()
      this.#closed.catch(() => {}) // whoever closes it is told
    }, { once: true })
    this.#lastAt = host.clock.now()
  }

  /** Monotonic ms of the file's first sample; known once the first frame was asked for. */
  get startAt(): number | undefined {
    return this.#startAt
  }

  /** Whole frames of 20 ms; the last one is filled with silence. */
  async *frames(): AsyncGenerator<AudioFrame> {
    const { clock } = this.#host
    const { signal } = this.#closing
    const startAt = this.#startAt ??= clock.now()
    for await (const samples of this.#blocks()) {
      const at = startAt + this.#count * 20
      if (this.#config.pace === 'real') await pause(clock, at + 20 - clock.now(), signal)
      if (signal.aborted) return
      this.#count++
      this.#lastAt = clock.now()
      yield { at, rate: MIC_RATE, samples, dropped: 0 }
    }
  }

  async *#blocks(): AsyncGenerator<Float32Array> {
    const { rate } = this.#reader.format
    const resampler = new Resampler(rate, MIC_RATE)
    let rest = new Float32Array(0)
    for (let more = true; more && !this.#closing.signal.aborted;) {
      const input = await this.#reader.read(Math.max(1, Math.round(rate / 50)))
      more = input.length > 0
      rest = join(rest, more ? resampler.process(input) : resampler.flush())
      for (; rest.length >= FRAME; rest = rest.slice(FRAME)) yield rest.slice(0, FRAME)
    }
    if (rest.length) yield join(rest, new Float32Array(FRAME - rest.length))
    for (let ms = 0; ms < this.#config.tailMs; ms += 20) yield new Float32Array(FRAME)
  }

  health(): Health {
    return { ok: true, lastProgressAt: this.#lastAt, counters: { frames: this.#count } }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#closing.abort()
    await (this.#closed ??= this.#reader[Symbol.asyncDispose]())
  }
}

function join(a: Float32Array, b: Float32Array): Float32Array<ArrayBuffer> {
  const all = new Float32Array(a.length + b.length)
  all.set(a)
  all.set(b, a.length)
  return all
}

/** Throws what WavReader.open throws for a file that cannot be read. */
export async function open(config: Config, host: Host): Promise<WavMicrophone> {
  return new WavMicrophone(config, host, await WavReader.open(config.path))
}
