import { z } from 'zod'
import type { Host } from '../contract.js'
import { ParleyError } from '../../base/errors.js'
import { PacedSpeaker } from './paced-speaker.js'
import type { Sink } from './sink.js'

export const schema = z.strictObject({
  driver: z.literal('fake'),
  name: z.string().min(1).default('speaker'),
  rate: z.number().int().min(8_000).max(192_000).default(16_000),
  /** How long the device takes for each 20 ms; over 20 it is slower than time. */
  takesMs: z.number().min(0).default(0),
  /** After so many chunks it takes nothing more, until it is restarted. */
  hangsAfter: z.number().int().min(0).optional(),
  /** Every n-th chunk is lost, as when its process dies. */
  losesEvery: z.number().int().min(2).optional(),
})
export type Config = z.infer<typeof schema>

/** A sink that misbehaves as its script says, and remembers what it was given. */
export class FakeSink implements Sink {
  /** What it has taken: when it was due, and the samples. */
  readonly taken: { readonly startsAt: number; readonly samples: Float32Array }[] = []
  readonly silencedAt: number[] = []
  readonly #config: Config
  readonly #host: Host
  #busy: Promise<void> = Promise.resolve()
  #count = 0
  #restarts = 0
  #turn = 0

  constructor(config: Config, host: Host) {
    this.#config = config
    this.#host = host
  }

  send(samples: Float32Array, startsAt: number): Promise<void> {
    const turn = this.#turn
    this.#busy = this.#busy.catch(() => {}).then(async () => {
      this.#count++
      const { takesMs, hangsAfter, losesEvery } = this.#config
      if (hangsAfter !== undefined && this.#restarts === 0 && this.#count > hangsAfter) await new Promise(() => {})
      if (takesMs > 0) await this.#host.clock.sleep(takesMs)
      if (turn !== this.#turn || (losesEvery && this.#count % losesEvery === 0)) throw new ParleyError('device-lost', 'as the script says')
      this.taken.push({ startsAt, samples })
    })
    return this.#busy
  }

  silence(now: number): void {
    this.#turn++
    this.silencedAt.push(now)
  }

  restart(): void {
    this.#restarts++
    this.#turn++
    this.#busy = Promise.resolve()
  }

  counters(): Record<string, number> {
    return { restarts: this.#restarts }
  }

  async close(): Promise<void> {}
}

export class FakeSpeaker extends PacedSpeaker {
  readonly sink: FakeSink

  constructor(config: Config, host: Host) {
    const sink = new FakeSink(config, host)
    super(config.name, config.rate, sink, host)
    this.sink = sink
  }
}

export async function open(config: Config, host: Host): Promise<FakeSpeaker> {
  return new FakeSpeaker(config, host)
}
