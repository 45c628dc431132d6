import { z } from 'zod'
import type { Host } from '../contract.js'
import { ParleyError } from '../../base/errors.js'
import { PolledSensor, polled, type Probe } from './polled-sensor.js'

export const schema = z.strictObject({
  driver: z.literal('fake'),
  ...polled({ name: 'fake', intervalMs: 20, hysteresis: 0, minIntervalMs: 0 }),
  /** What it says from which time on, ms after the start; `missing` = the sensor is gone. */
  script: z
    .array(z.strictObject({ atMs: z.number().min(0), value: z.union([z.number(), z.string(), z.boolean()]).optional(), missing: z.boolean().default(false) }))
    .default([{ atMs: 0, value: 50, missing: false }]),
  unit: z.string().min(1).optional(),
})
export type Config = z.infer<typeof schema>

/** A sensor that says what its script says. */
export function open(config: Config, host: Host): Promise<PolledSensor> {
  const startAt = host.clock.now()
  const probe: Probe = {
    sample: async () => {
      const line = config.script.filter(s => startAt + s.atMs <= host.clock.now()).at(-1)
      if (line?.missing) throw new ParleyError('missing', 'gone, as the script says')
      return line?.value
    },
    ...(config.unit === undefined ? {} : { unit: config.unit }),
  }
  return new PolledSensor(config, probe, host).start()
}
