import { fileURLToPath } from 'node:url'
import { z } from 'zod'
import type { Host, Microphone } from '../contract.js'
import { CapturedMicrophone } from './captured-microphone.js'
import type { RecorderKind } from './recorder-child.js'

export const schema = z.strictObject({
  driver: z.literal('pulse'),
  name: z.string().min(1).default('microphone'),
  /** PulseAudio's or PipeWire's stable source name (`pactl list short sources`), or the default source. */
  device: z.string().regex(/^[\w@][\w.:@+-]*$/, 'a source name of `pactl list short sources`').optional(),
  /** How much sound is kept for a slow consumer, ms; the oldest is dropped and counted. */
  queueMs: z.number().int().min(40).max(10_000).default(2_000),
})
export type Config = z.infer<typeof schema>

const parec: RecorderKind = {
  module: fileURLToPath(new URL('./recorders/parec.cjs', import.meta.url)),
  program: 'parec',
  apt: 'pulseaudio-utils',
  latencyMs: 1,
  // The server moves a stream whose source was unplugged to any other source: a wrong microphone, or a monitor of our own voice.
  lostBy: (line, device) => device !== undefined && line.startsWith('Stream moved to device ') && !line.startsWith(`Stream moved to device ${device} `),
}

/** The sound server's microphone, 16 kHz mono in frames of 20 ms; ~23 ms from the air to here. */
export function open(config: Config, host: Host): Promise<Microphone & CapturedMicrophone> {
  return new CapturedMicrophone(config, parec, host).open()
}
