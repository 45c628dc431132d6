import { pause } from '../../base/clock.js'
import { z } from 'zod'
import type { Health, Host, Sensor } from '../contract.js'
import { childAbort, withTimeout } from '../../base/abort.js'
import { describe, isMissing, systemCode } from '../../base/errors.js'
import type { Reading } from '../../base/frames.js'
import { Change, type Value } from './change.js'
import { Feed } from './feed.js'

/** What every polled sensor's section holds besides its own keys; `defaults` are that sensor's. */
export const polled = (defaults: { name: string; intervalMs: number; hysteresis: number; minIntervalMs: number }) => ({
  name: z.string().min(1).default(defaults.name),
  intervalMs: z.number().int().min(5).max(3_600_000).default(defaults.intervalMs),
  /** The least change of a number that is told, in its own unit. */
  hysteresis: z.number().min(0).default(defaults.hysteresis),
  /** The least time between two readings, ms. */
  minIntervalMs: z.number().int().min(0).default(defaults.minIntervalMs),
})

export interface PolledConfig {
  readonly name: string
  readonly intervalMs: number
  readonly hysteresis: number
  readonly minIntervalMs: number
}

/** Takes one value; throws (or rejects) when there is none. `undefined` = no change known, which also is progress. */
export interface Probe {
  sample(signal: AbortSignal): Promise<Value | undefined>
  readonly unit?: string
  close?(): Promise<void>
}

/** Readings wait here for a consumer that is late: a minute of a busy sensor. */
const QUEUE = 64
/** A sample (a file on a dead network disk, a command) may take so long; commands have their own, shorter limit. */
const SAMPLE_LIMIT_MS = 30_000

/** Asks its probe at an interval and tells what changed. A probe that fails makes the health not ok and is asked again. */
export class PolledSensor implements Sensor {
  readonly kind = 'sensor'
  readonly name: string
  readonly #config: PolledConfig
  readonly #probe: Probe
  readonly #host: Host
  readonly #closing: AbortController
  readonly #feed = new Feed<Reading>(QUEUE)
  readonly #change: Change
  readonly #counters = { samples: 0, readings: 0, failures: 0 }
  #lastProgressAt: number
  #trouble: string | undefined = 'no value yet'
  #loop: Promise<void> | undefined

  constructor(config: PolledConfig, probe: Probe, host: Host) {
    this.name = config.name
    this.#config = config
    this.#probe = probe
    this.#host = host
    this.#closing = childAbort(host.signal)
    this.#change = new Change(config.hysteresis, config.minIntervalMs)
    this.#lastProgressAt = host.clock.now()
  }

  /** Takes the first sample, so that the health means something when this resolves, and goes on by itself. */
  async start(): Promise<this> {
    await this.#once()
    this.#loop = this.#run()
    return this
  }

  readings(): AsyncIterable<Reading> {
    return this.#feed
  }

  health(): Health {
    const counters = { ...this.#counters, dropped: this.#feed.dropped }
    const base = { ok: this.#trouble === undefined, lastProgressAt: this.#lastProgressAt, counters }
    return this.#trouble === undefined ? base : { ...base, detail: this.#trouble }
  }

  async #run(): Promise<void> {
    const { signal } = this.#closing
    while (!signal.aborted) {
      await pause(this.#host.clock, this.#config.intervalMs, signal)
      if (!signal.aborted) await this.#once()
    }
    this.#feed.end()
    await this.#probe.close?.()
  }

  async #once(): Promise<void> {
    const { clock, log } = this.#host
    const at = clock.now()
    try {
      const value = await withTimeout(this.#probe.sample(this.#closing.signal), SAMPLE_LIMIT_MS, 'reading the value')
      this.#counters.samples++
      this.#lastProgressAt = clock.now()
      if (this.#trouble !== undefined && this.#counters.failures > 0) log.info({ driver: this.name }, 'sensor found again')
      this.#trouble = undefined
      if (value === undefined || !this.#change.isNews(value, at)) return
      this.#counters.readings++
      const { unit } = this.#probe
      this.#feed.push({ source: this.name, at, value, ...(unit === undefined ? {} : { unit }) })
    } catch (error) {
      if (this.#closing.signal.aborted) return
      const trouble = explain(error)
      if (trouble !== this.#trouble) log.warn({ driver: this.name, reason: trouble }, 'sensor has no value')
      this.#trouble = trouble
      this.#counters.failures++
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#closing.abort()
    await this.#loop
  }
}

function explain(error: unknown): string {
  const path = error instanceof Error && 'path' in error ? String(error.path) : undefined
  if (isMissing(error)) return `${path ?? 'the file'} does not exist (yet)`
  if (systemCode(error) === 'EACCES') return `${path ?? 'the file'} may not be read by this user`
  return describe(error)
}
