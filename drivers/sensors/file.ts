import { z } from 'zod'
import type { Host } from '../contract.js'
import { PolledSensor, polled, type Probe } from './polled-sensor.js'
import { parseValue, readSmall } from './small-file.js'

export const schema = z.strictObject({
  driver: z.literal('file'),
  ...polled({ name: 'file', intervalMs: 500, hysteresis: 0, minIntervalMs: 0 }),
  path: z.string().min(1),
  unit: z.string().min(1).optional(),
})
export type Config = z.infer<typeof schema>

/** A file that holds a number or a short word, read at an interval: polling also works on sysfs and network disks, where watching does not. */
export function open(config: Config, host: Host): Promise<PolledSensor> {
  const probe: Probe = {
    sample: async () => parseValue(await readSmall(config.path), config.path),
    ...(config.unit === undefined ? {} : { unit: config.unit }),
  }
  return new PolledSensor(config, probe, host).start()
}
