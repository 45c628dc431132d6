import type { Machine } from './machine.js'

export interface Thermal {
  /** °C, the hottest zone that throttles. */
  readonly temperature: number | undefined
  /** °C at which the kernel begins to slow down; undefined: it does not say. */
  readonly throttleAt: number | undefined
  /** The kernel slows a part of the chip now. */
  readonly throttled: boolean
  /** `15W`, as nvpmodel calls it. */
  readonly powerMode: string | undefined
}

export async function readThermal(machine: Machine): Promise<Thermal> {
  const folder = '/sys/class/thermal'
  const zones = await Promise.all((await machine.names(folder)).filter(n => n.startsWith('thermal_zone')).map(async zone => {
    const path = `${folder}/${zone}`
    const trips = (await machine.names(path)).filter(n => /^trip_point_\d+_type$/.test(n))
    const at = await Promise.all(trips.map(async type => ((await machine.text(`${path}/${type}`)) === 'passive' ? celsius(await machine.text(`${path}/${type.replace('_type', '_temp')}`)) : undefined)))
    return { now: celsius(await machine.text(`${path}/temp`)), passive: Math.min(...at.filter(t => t !== undefined)) }
  }))
  // The zone that is nearest to its own limit matters, not the one with the highest figure.
  const nearest = zones.filter(z => z.now !== undefined).sort((a, b) => a.passive - (a.now ?? 0) - (b.passive - (b.now ?? 0)))[0]
  const throttleAt = nearest && Number.isFinite(nearest.passive) ? nearest.passive : undefined
  const cooling = await Promise.all((await machine.names(folder)).filter(n => n.startsWith('cooling_device')).map(async name => {
    const type = (await machine.text(`${folder}/${name}/type`)) ?? ''
    // A fan at work is no throttling, nor is a dimmed screen, a battery that charges slowly or a radio that sends less.
    return /fan|lcd|backlight|display|batt|charg|wifi|wlan/i.test(type) ? 0 : Number((await machine.text(`${folder}/${name}/cur_state`)) ?? 0)
  }))
  return { temperature: nearest?.now, throttleAt, throttled: cooling.some(state => state > 0), powerMode: await powerMode(machine) }
}

async function powerMode(machine: Machine): Promise<string | undefined> {
  const id = Number(/pmode:(\d+)/.exec((await machine.text('/var/lib/nvpmodel/status')) ?? '')?.[1])
  const names = [...((await machine.text('/etc/nvpmodel.conf')) ?? '').matchAll(/<\s*POWER_MODEL\s+ID=(\d+)\s+NAME=(\S+)/g)]
  return names.find(([, each]) => Number(each) === id)?.[2]?.replace(/^MODE_/, '')
}

const celsius = (text: string | undefined): number | undefined => (text === undefined || text === '' || Number.isNaN(Number(text)) ? undefined : Number(text) / 1_000)

export interface Budget {
  /** Ms that the model may use of a tick of 80 ms; where it needs more, pictures and the steps of silence are left out (HeatWatch). */
  readonly stepMs: number
  /** Pictures are left out first: nobody hears that. */
  readonly images: boolean
  /** The model is spared ticks in which there is nothing to hear and nothing to do. */
  readonly doze: boolean
  /** What lowers it; undefined: nothing. */
  readonly by?: 'mode' | 'heat' | 'steps'
  readonly reason?: string
}

/** So far below the limit we give way on our own, °C: the heat of the next minute is in the chip already. */
const MARGIN = 5
const FULL: Budget = { stepMs: 60, images: true, doze: false }
/** What a power mode leaves to begin with, by the watts in its name: slower clocks, fewer cores, and a battery or a small fan behind it. */
const MODES: readonly { readonly watts: number; readonly stepMs: number; readonly doze: boolean }[] = [{ watts: 10, stepMs: 45, doze: true }, { watts: 15, stepMs: 50, doze: false }]

/** Less work before the chip takes the work away: a step that comes late breaks a word. */
export function budget({ temperature, throttleAt, throttled, powerMode }: Thermal): Budget {
  const start = ofMode(powerMode)
  const less = (stepMs: number, doze: boolean, reason: string): Budget => ({ stepMs: Math.min(start.stepMs, stepMs), images: false, doze: start.doze || doze, by: 'heat', reason })
  if (throttled) return less(40, true, 'the chip is slowed by its heat or its power limit')
  if (temperature === undefined || throttleAt === undefined || temperature < throttleAt - MARGIN) return start
  return temperature < throttleAt - 2 ? less(60, false, `${temperature} °C, it slows at ${throttleAt}`) : less(50, true, `${temperature} °C, it slows at ${throttleAt}`)
}

/** A mode without watts in its name (`MAXN`) has no limit. */
function ofMode(powerMode: string | undefined): Budget {
  const watts = Number(/^(\d+)W/.exec(powerMode ?? '')?.[1] ?? Infinity)
  const mode = MODES.find(m => watts <= m.watts)
  if (!mode) return FULL
  const { stepMs, doze } = mode
  return { ...FULL, stepMs, doze, by: 'mode', reason: `the power mode leaves ${stepMs} ms for a step${doze ? ', the model dozes in silence' : ''}` }
}
