import { z } from 'zod'
import type { Host } from '../contract.js'
import { PacedSpeaker } from './paced-speaker.js'
import type { Sink } from './sink.js'

export const schema = z.strictObject({
  driver: z.literal('null'),
  name: z.string().min(1).default('speaker'),
  /** Hz of what is written to it. */
  rate: z.number().int().min(8_000).max(192_000).default(16_000),
})
export type Config = z.infer<typeof schema>

class NullSink implements Sink {
  send(): void {}
  silence(): void {}
  restart(): void {}
  counters(): Record<string, number> { return {} }
  async close(): Promise<void> {}
}

/** Plays into nothing, as slowly as a device would. */
export async function open(config: Config, host: Host): Promise<PacedSpeaker> {
  return new PacedSpeaker(config.name, config.rate, new NullSink(), host)
}
