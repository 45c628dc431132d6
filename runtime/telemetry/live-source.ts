import type { ConversationEvent } from '../conversation/events.js'
import type { HealthReport } from '../health/health.js'
import { FalseStarts } from './false-starts.js'
import { Telling } from './source.js'

/** A running conversation and the parts below it, as telemetry hears them. */
export class LiveSource extends Telling {
  readonly #falseStarts = new FalseStarts()

  take(event: ConversationEvent): void {
    this.#falseStarts.take(event)
    this.tell(event)
  }

  health(report: HealthReport, respawns: number): void {
    const parts = report.parts.map(({ name, ok, idleMs, counters }) => ({ name, ok, progressMs: idleMs, ...(counters ? { counters } : {}) }))
    this.tell({ type: 'health', parts, respawns, falseStarts: this.#falseStarts.count })
  }
}
