import { ParleyError, describe } from '../../../base/errors.js'
import type { Figures } from './simulate.js'

/** What the machine must keep to be said to bear a number of devices. */
export interface Bounds {
  /** All are back so long after the broker, s. The jitter alone spreads them over up to 60 s. */
  readonly backS: number
  /** A turn arrives within this, 95 %, ms. */
  readonly latencyMs: number
  /** Of the devices' process and the broker together, MB. */
  readonly memoryMb: number
}

export interface Step {
  readonly devices: number
  /** Why the machine does not bear them; absent: it does. */
  readonly why?: string
  /** Absent where the simulation itself could not go on. */
  readonly figures?: Figures
}

export interface Limit {
  /** The most that the machine bore; 0: not even the fewest that were tried. */
  readonly bears: number
  /** The fewest that it did not bear; absent: it bore all that were asked for. */
  readonly fails?: number
  readonly steps: readonly Step[]
}

/** A broker without a disk loses what it has not handed on when it is killed: a few of many thousands, which no device could send again, %. */
const LOST_PERCENT = 0.1
/** Between the last number that was borne and the first that was not it looks so often: the limit is then known to a quarter of a step. */
const REFINE = 2

export function whyNotBorne(figures: Figures, bounds: Bounds): string | undefined {
  const { storm, latency, memoryMb, told, arrived } = figures
  const memory = memoryMb.devices + memoryMb.broker
  if (storm.lastMs > bounds.backS * 1_000) return `the last was back after ${Math.round(storm.lastMs / 1_000)} s`
  if (latency.p95Ms > bounds.latencyMs) return `95 % of the turns arrived within ${latency.p95Ms} ms, not ${bounds.latencyMs}`
  if (memory > bounds.memoryMb) return `${Math.round(memory)} MB of memory`
  if (told - arrived > told * LOST_PERCENT / 100) return `${told - arrived} of ${told} turns did not arrive`
  return undefined
}

/** Raises the number of devices by `grow` until the machine does not bear them, at most to `most`, then closes in. */
export async function findLimit(first: number, grow: number, most: number, bounds: Bounds, run: (devices: number) => Promise<Figures>, onStep: (step: Step) => void, signal: AbortSignal): Promise<Limit> {
  const steps: Step[] = []
  let [good, bad] = [0, Infinity]
  const tried = async (devices: number): Promise<void> => {
    const step = await tryOne(devices, bounds, run, signal)
    steps.push(step)
    onStep(step)
    if (step.why === undefined) good = devices
    else bad = devices
  }
  for (let devices = Math.min(first, most); bad === Infinity && good < most; devices = Math.min(most, Math.ceil(devices * grow))) await tried(devices)
  for (let n = 0; n < REFINE && bad < Infinity && bad - good > 1; n++) await tried(Math.round((good + bad) / 2))
  return { bears: good, ...(bad < Infinity ? { fails: bad } : {}), steps }
}

async function tryOne(devices: number, bounds: Bounds, run: (devices: number) => Promise<Figures>, signal: AbortSignal): Promise<Step> {
  try {
    const figures = await run(devices)
    const why = whyNotBorne(figures, bounds)
    return { devices, ...(why === undefined ? {} : { why }), figures }
  } catch (error) {
    signal.throwIfAborted()
    if (error instanceof ParleyError && error.code === 'no-mosquitto') throw error
    return { devices, why: describe(error) }
  }
}
