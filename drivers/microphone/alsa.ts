import { fileURLToPath } from 'node:url'
import { z } from 'zod'
import type { Host, Microphone } from '../contract.js'
import { CapturedMicrophone } from './captured-microphone.js'
import type { RecorderKind } from './recorder-child.js'

export const schema = z.strictObject({
  driver: z.literal('alsa'),
  name: z.string().min(1).default('microphone'),
  /** ALSA's name; stable across replugging is `plughw:CARD=Name,DEV=0` (`arecord -L`), a card's number is not. Undefined: the card that the runtime finds (runtime/compose/sound-card.ts). */
  device: z.string().regex(/^[\w][\w.:=,@+-]*$/, 'an ALSA name of `arecord -L`').optional(),
  /** How much sound is kept for a slow consumer, ms; the oldest is dropped and counted. */
  queueMs: z.number().int().min(40).max(10_000).default(2_000),
})
export type Config = z.infer<typeof schema>

const arecord: RecorderKind = {
  module: fileURLToPath(new URL('./recorders/arecord.cjs', import.meta.url)),
  program: 'arecord',
  apt: 'alsa-utils',
  latencyMs: 8,
}

/** A sound card without a sound server, 16 kHz mono in frames of 20 ms; ~30 ms from the air to here. */
export function open(config: Config, host: Host): Promise<Microphone & CapturedMicrophone> {
  return new CapturedMicrophone(config, arecord, host).open()
}
