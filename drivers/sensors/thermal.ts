import { readdir } from 'node:fs/promises'
import { join } from 'node:path'
import { z } from 'zod'
import type { Host } from '../contract.js'
import { ParleyError, isMissing } from '../../base/errors.js'
import { PolledSensor, polled, type Probe } from './polled-sensor.js'
import { parseNumber, readSmall } from './small-file.js'

export const schema = z.strictObject({
  driver: z.literal('thermal'),
  ...polled({ name: 'temperature', intervalMs: 5_000, hysteresis: 2, minIntervalMs: 30_000 }),
  /** A zone's type (`cpu-thermal`, `GPU-therm`, `x86_pkg_temp`); without it the hottest of all. */
  zone: z.string().min(1).optional(),
  sysfs: z.string().min(1).default('/sys'),
})
export type Config = z.infer<typeof schema>

/** Both hold the same zones on most machines; some Jetson kernels show them only in the second. */
const FOLDERS = ['class/thermal', 'devices/virtual/thermal']
/** A zone that is off answers with an error or with nonsense (-256000 on Jetson's PMIC die): outside of this it does not count. */
const PLAUSIBLE = { min: -60, max: 150 }

/** Whole °C of the hottest or the named zone; the kernel gives thousandths (Documentation/driver-api/thermal/sysfs-api). */
class ThermalProbe implements Probe {
  readonly unit = '°C'
  readonly #config: Config

  constructor(config: Config) {
    this.#config = config
  }

  async sample(): Promise<number> {
    const { sysfs, zone } = this.#config
    const seen: string[] = []
    for (const folder of FOLDERS.map(f => join(sysfs, f))) {
      const zones = (await list(folder)).filter(n => n.startsWith('thermal_zone'))
      const degrees: number[] = []
      for (const name of zones) {
        const type = await readSmall(join(folder, name, 'type')).catch(() => name)
        seen.push(type)
        const value = zone === undefined || zone === type ? await celsius(join(folder, name, 'temp')) : undefined
        if (value !== undefined) degrees.push(value)
      }
      if (degrees.length) return Math.round(Math.max(...degrees))
    }
    const wanted = zone === undefined ? 'no thermal zone gives a temperature' : `no thermal zone of type ${zone} gives a temperature`
    throw new ParleyError('no-zone', `${wanted} under ${sysfs} (seen: ${[...new Set(seen)].join(', ') || 'none'})`)
  }
}

async function list(folder: string): Promise<string[]> {
  try {
    return await readdir(folder)
  } catch (error) {
    if (isMissing(error)) return []
    throw error
  }
}

async function celsius(path: string): Promise<number | undefined> {
  const text = await readSmall(path).catch(() => undefined) // EAGAIN while the part is powered down
  const value = text === undefined ? NaN : parseNumber(text, path) / 1_000
  return value >= PLAUSIBLE.min && value <= PLAUSIBLE.max ? value : undefined
}

export function open(config: Config, host: Host): Promise<PolledSensor> {
  return new PolledSensor(config, new ThermalProbe(config), host).start()
}
