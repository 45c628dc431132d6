import { pause, type Clock } from '../../base/clock.js'
import type { Health } from '../../drivers/contract.js'
import type { HealthSettings } from './settings.js'

export interface PartHealth {
  readonly name: string
  readonly ok: boolean
  /** Ms since it last got on. */
  readonly idleMs: number
  readonly detail?: string
  readonly counters?: Readonly<Record<string, number>>
}

export interface HealthReport {
  readonly ok: boolean
  readonly parts: readonly PartHealth[]
}

/** When a part last got on, by its own stamps; never by a timer. */
export interface Progress {
  readonly name: string
  readonly limitMs: number
  lastProgressAt(): number
}

/** Health is progress: the capture clock advanced, the model stepped, playout drained. */
export class HealthMonitor {
  readonly #clock: Clock
  readonly #progress: readonly Progress[]
  readonly #drivers: readonly { readonly name: string; health(): Health }[]

  constructor(clock: Clock, progress: readonly Progress[], drivers: readonly { readonly name: string; health(): Health }[]) {
    this.#clock = clock
    this.#progress = progress
    this.#drivers = drivers
  }

  look(): HealthReport {
    const now = this.#clock.now()
    const clocks = this.#progress.map(({ name, limitMs, lastProgressAt }): PartHealth => {
      const idleMs = Math.max(0, Math.round(now - lastProgressAt()))
      return { name, ok: idleMs <= limitMs, idleMs, ...(idleMs <= limitMs ? {} : { detail: `no progress for ${idleMs} ms` }) }
    })
    const drivers = this.#drivers.map((driver): PartHealth => {
      const { ok, lastProgressAt, detail, counters } = driver.health()
      return { name: driver.name, ok, idleMs: Math.max(0, Math.round(now - lastProgressAt)), counters, ...(detail === undefined ? {} : { detail }) }
    })
    const parts = [...clocks, ...drivers]
    return { ok: parts.every(p => p.ok), parts }
  }

  /** Calls `onChange` whenever the names of those that are not well change, until `signal` aborts. */
  async watch(settings: HealthSettings, onChange: (report: HealthReport) => void, signal: AbortSignal): Promise<void> {
    let before = ''
    while (!signal.aborted) {
      await pause(this.#clock, settings.everyMs, signal)
      if (signal.aborted) return
      const report = this.look()
      const unwell = report.parts.filter(p => !p.ok).map(p => p.name).join(', ')
      if (unwell !== before) onChange(report)
      before = unwell
    }
  }
}
