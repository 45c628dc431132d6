import { z } from 'zod'

const name = z.string().regex(/^[A-Za-z0-9_-]{1,40}$/, '1 to 40 letters, digits, - and _')
const file = z.string().min(1)

/** What a technician says about a device, in a file or by word. */
export const answers = z.strictObject({
  device: name,
  site: name,
  /** What the model can be asked about this place. */
  facts: z.record(z.string().min(1), z.union([z.string(), z.number(), z.boolean()])).default({}),
  /** Percent. */
  volume: z.number().int().min(0).max(100).default(60),
  broker: z.strictObject({ url: z.string().regex(/^mqtts?:\/\/[^\s/]+$/, 'an address such as mqtts://broker.local:8883'), ca: file.optional(), cert: file.optional() }).optional(),
  update: z.strictObject({ from: z.string(), channel: z.string().default('stable'), window: z.strictObject({ from: z.string(), to: z.string() }).optional() }).optional(),
  /** The claim's id, where its certificate and key lie beside the device's key already. */
  claim: z.string().optional(),
  /** The claim itself: certificate and key in one file. */
  claimFile: file.optional(),
})
export type Answers = z.infer<typeof answers>
