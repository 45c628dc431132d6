import { z } from 'zod'
import type { Host } from '../contract.js'
import { runArgv } from '../actuators/run-argv.js'
import { PolledSensor, polled, type Probe } from './polled-sensor.js'
import { parseValue } from './small-file.js'

export const schema = z.strictObject({
  driver: z.literal('command'),
  ...polled({ name: 'command', intervalMs: 10_000, hysteresis: 0, minIntervalMs: 0 }),
  /** The program and its arguments. No shell: nothing in it is expanded. */
  argv: z.array(z.string()).min(1),
  timeoutMs: z.number().int().min(10).max(30_000).default(2_000),
  unit: z.string().min(1).optional(),
})
export type Config = z.infer<typeof schema>

/** The first line that a program prints is the value. A program that fails, hangs or prints too much is a sensor without a value. */
export function open(config: Config, host: Host): Promise<PolledSensor> {
  const probe: Probe = {
    sample: async signal => {
      const output = await runArgv(config.argv, { timeoutMs: config.timeoutMs, signal })
      return parseValue((output.split('\n')[0] ?? '').trim(), config.argv[0] ?? 'the command')
    },
    ...(config.unit === undefined ? {} : { unit: config.unit }),
  }
  return new PolledSensor(config, probe, host).start()
}
