import { readdir } from 'node:fs/promises'
import { join } from 'node:path'
import { z } from 'zod'
import type { Host } from '../contract.js'
import { ParleyError } from '../../base/errors.js'
import { PolledSensor, polled, type Probe } from './polled-sensor.js'
import { parseNumber, readSmall } from './small-file.js'

export const schema = z.strictObject({
  driver: z.literal('battery'),
  ...polled({ name: 'battery', intervalMs: 10_000, hysteresis: 1, minIntervalMs: 30_000 }),
  /** The supply's folder name (`BAT0`); without it the first one of type Battery. */
  supply: z.string().regex(/^[\w.:-]+$/, 'a folder name such as BAT0').optional(),
  /** Where sysfs is mounted. */
  sysfs: z.string().min(1).default('/sys'),
})
export type Config = z.infer<typeof schema>

/** Charge in whole percent from the kernel's power supply class (Documentation/ABI/testing/sysfs-class-power). */
class BatteryProbe implements Probe {
  readonly unit = '%'
  readonly #config: Config

  constructor(config: Config) {
    this.#config = config
  }

  async sample(): Promise<number> {
    const root = join(this.#config.sysfs, 'class/power_supply')
    const folder = join(root, this.#config.supply ?? (await firstBattery(root)))
    return Math.max(0, Math.min(100, Math.round(await percent(folder))))
  }
}

async function firstBattery(root: string): Promise<string> {
  const names = (await readdir(root)).sort()
  for (const name of names) {
    // A mouse's or a headset's battery has scope Device: it is not the one that carries this machine.
    const scope = await readSmall(join(root, name, 'scope')).catch(() => 'System')
    if (scope !== 'Device' && (await readSmall(join(root, name, 'type')).catch(() => '')) === 'Battery') return name
  }
  throw new ParleyError('no-battery', `${root} holds no battery (found: ${names.join(', ') || 'nothing'})`)
}

/** Gauges without `capacity` give energy (µWh) or charge (µAh), now and full. */
async function percent(folder: string): Promise<number> {
  const read = (name: string): Promise<number | undefined> =>
    readSmall(join(folder, name)).then(text => parseNumber(text, join(folder, name)), () => undefined)
  const capacity = await read('capacity')
  if (capacity !== undefined) return capacity
  for (const what of ['energy', 'charge']) {
    const now = await read(`${what}_now`)
    const full = await read(`${what}_full`)
    if (now !== undefined && full) return (100 * now) / full
  }
  throw new ParleyError('no-battery', `${folder} tells no charge (no capacity, energy_now or charge_now)`)
}

export function open(config: Config, host: Host): Promise<PolledSensor> {
  return new PolledSensor(config, new BatteryProbe(config), host).start()
}
