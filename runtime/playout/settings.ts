import { z } from 'zod'

/** `[playout]`: from the model's speech to the speaker. */
export const playoutSettings = z.strictObject({
  /** How long the first sound of a reply is held back, so that a step that is late leaves no gap, ms. */
  leadMs: z.number().int().min(0).max(200).default(20),
  /** Volume at the start, 0 to 1. */
  volume: z.number().min(0).max(1).default(0.8),
})
export type PlayoutSettings = z.infer<typeof playoutSettings>
