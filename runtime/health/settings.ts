import { z } from 'zod'

/** `[health]`: how long each part may go without progress, ms. */
export const healthSettings = z.strictObject({
  captureMs: z.number().int().min(500).default(3_000),
  modelMs: z.number().int().min(500).default(5_000),
  playoutMs: z.number().int().min(500).default(5_000),
  /** How often it is looked at. */
  everyMs: z.number().int().min(100).default(1_000),
})
export type HealthSettings = z.infer<typeof healthSettings>
