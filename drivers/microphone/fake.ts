import { pause } from '../../base/clock.js'
import { z } from 'zod'
import type { Health, Host, Microphone } from '../contract.js'
import { childAbort } from '../../base/abort.js'
import { MIC_RATE, type AudioFrame } from '../../base/frames.js'

/** One part of the script: a tone, noise, silence, or a gap in which the device was lost. */
const scene = z.strictObject({
  ms: z.number().int().min(20),
  /** Hz; without it the part is silent, or noise. */
  tone: z.number().positive().optional(),
  noise: z.boolean().default(false),
  /** Peak of the tone or the noise, 0 to 1. */
  level: z.number().min(0).max(1).default(0.5),
  /** No frames come in this time; the next one says how many samples were lost. */
  lost: z.boolean().default(false),
})

export const schema = z.strictObject({
  driver: z.literal('fake'),
  name: z.string().min(1).default('microphone'),
  pace: z.enum(['real', 'fast']).default('real'),
  script: z.array(scene).default([{ ms: 1_000, noise: false, level: 0, lost: false }]),
  /** Begins again at the end, as a microphone never ends. */
  repeat: z.boolean().default(false),
})
export type Config = z.infer<typeof schema>

const FRAME = MIC_RATE / 50

/** A microphone that hears what its script says. */
export class FakeMicrophone implements Microphone {
  readonly kind = 'microphone'
  readonly rate = MIC_RATE
  readonly name: string
  readonly #config: Config
  readonly #host: Host
  readonly #closing: AbortController
  readonly #counters = { frames: 0, lost: 0, gapSamples: 0 }
  #lastAt: number

  constructor(config: Config, host: Host) {
    this.name = config.name
    this.#config = config
    this.#host = host
    this.#closing = childAbort(host.signal)
    this.#lastAt = host.clock.now()
  }

  async *frames(): AsyncGenerator<AudioFrame> {
    const { clock } = this.#host
    const { signal } = this.#closing
    const startAt = clock.now()
    let index = 0
    let dropped = 0
    let seed = 1
    do {
      for (const part of this.#config.script) {
        if (part.lost) this.#counters.lost++
        for (let end = index + Math.round(part.ms / 20); index < end; index++) {
          const at = startAt + index * 20
          if (this.#config.pace === 'real') await pause(clock, at + 20 - clock.now(), signal)
          else await new Promise(resolve => setImmediate(resolve))
          if (signal.aborted) return
          if (part.lost) {
            dropped += FRAME
            continue
          }
          const samples = new Float32Array(FRAME)
          for (let i = 0; i < FRAME; i++) {
            seed = (Math.imul(seed, 1664525) + 1013904223) >>> 0 // Numerical Recipes' generator: the same noise every time
            if (part.noise) samples[i] = part.level * (seed / 2 ** 31 - 1)
            else if (part.tone) samples[i] = part.level * Math.sin((2 * Math.PI * part.tone * (index * FRAME + i)) / MIC_RATE)
          }
          this.#counters.frames++
          this.#counters.gapSamples += dropped
          this.#lastAt = clock.now()
          yield { at, rate: MIC_RATE, samples, dropped }
          dropped = 0
        }
      }
    } while (this.#config.repeat)
  }

  health(): Health {
    return { ok: true, lastProgressAt: this.#lastAt, counters: { ...this.#counters } }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#closing.abort()
  }
}

export async function open(config: Config, host: Host): Promise<FakeMicrophone> {
  return new FakeMicrophone(config, host)
}
