import type { Clock } from '../../base/clock.js'
import type { ConversationEvent } from '../conversation/events.js'
import type { HealthReport } from '../health/health.js'
import { usageOf } from '../health/processes.js'
import { LiveSource } from '../telemetry/live-source.js'
import { METRICS, type MetricKey } from '../telemetry/metrics.js'
import { Observer } from '../telemetry/observer.js'
import { Registry } from '../telemetry/registry.js'
import { topicsOf } from '../telemetry/topics.js'

/** What is shown after each turn, with a head that fits its column; the metrics' own names are long. */
const SHOWN: readonly (readonly [MetricKey, string])[] = [
  ['turns', 'turns'], ['interrupted', 'cut'], ['first_sound', 'first sound'], ['barge_in', 'barge-in'], ['step_p95', 'step p95'], ['tool_calls', 'calls'],
  ['dropped_ticks', 'lost ticks'], ['false_starts', 'false starts'], ['errors', 'errors'], ['memory', 'memory'], ['problem', 'problem'],
]

/**
 * The telemetry of a demo, live: the real registry and observer, fed with the real events, and no broker. A row is what the retained
 * topic `state` would say now.
 */
export class TelemetryTable {
  readonly #registry = new Registry()
  readonly #source = new LiveSource()
  readonly #topics = topicsOf('demo', 'here')
  readonly #sent: string[] = []
  #headShown = false

  constructor(clock: Clock) {
    const send = (fields: Record<string, unknown>): void => {
      this.#sent.push(JSON.stringify(fields))
    }
    this.#source.listen(new Observer(this.#registry, { turn: send, event: send }, clock, []).hear)
  }

  take(event: ConversationEvent): void {
    this.#source.take(event)
  }

  /** The row of now; the first comes with its head. */
  rows(health: HealthReport, respawns: number): string[] {
    this.#source.health(health, respawns)
    this.#registry.set('memory', usageOf(process.pid).rssMb * 2 ** 20)
    const line = (cell: (key: MetricKey, head: string) => string): string =>
      SHOWN.map(([key, head]) => cell(key, head).padStart(Math.max(head.length, WIDTHS[METRICS[key].unit] ?? 0))).join('  ')
    const head = this.#headShown ? [] : [`  telemetry  ${line((_, head) => head)}`]
    this.#headShown = true
    return [...head, `             ${line(key => show(key, this.#registry.get(key)))}`]
  }

  /** All that would have been sent besides the state. */
  get records(): readonly string[] {
    return this.#sent
  }

  summary(): string {
    const bytes = this.#sent.reduce((sum, text) => sum + text.length, 0)
    return `Telemetry: ${this.#sent.length} records, ${bytes} bytes of numbers, for ${this.#topics.turn} and ${this.#topics.event}.`
  }
}

const WIDTHS: Readonly<Record<string, number>> = { ms: 6, By: 6 }

function show(key: MetricKey, value: number | string | boolean | undefined): string {
  if (value === undefined) return METRICS[key].kind === 'counter' ? '0' : '–'
  if (typeof value === 'boolean') return value ? 'yes' : 'no'
  if (typeof value === 'string') return value
  const { unit } = METRICS[key]
  return unit === 'By' ? `${Math.round(value / 2 ** 20)} MB` : unit === 'ms' ? `${Math.round(value)} ms` : String(value)
}
