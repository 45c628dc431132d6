import { METRICS, METRIC_KEYS, type Metric, type MetricKey, type Value } from './metrics.js'

/** Longer texts than a hash or a version are not metrics. */
export const MAX_TEXT = 120

/** The last value of every metric. Values that do not fit a metric are refused, so that no encoder has to look again. */
export class Registry {
  readonly #values = new Map<MetricKey, Value>()

  /** Returns false, and keeps the old value, if this is not a value of that metric (a NaN, a text for a number). */
  set(key: MetricKey, value: Value | null | undefined): boolean {
    if (!fits(METRICS[key], value)) return false
    this.#values.set(key, value)
    return true
  }

  /** It is not known any more. */
  forget(key: MetricKey): void {
    this.#values.delete(key)
  }

  add(key: MetricKey, count = 1): void {
    const before = this.#values.get(key)
    this.set(key, (typeof before === 'number' ? before : 0) + count)
  }

  get(key: MetricKey): Value | undefined {
    return this.#values.get(key)
  }

  /** Known values only, in the order of the table. */
  snapshot(): Partial<Record<MetricKey, Value>> {
    return Object.fromEntries(METRIC_KEYS.filter(k => this.#values.has(k)).map(k => [k, this.#values.get(k)]))
  }
}

function fits(metric: Metric, value: Value | null | undefined): value is Value {
  if (metric.kind === 'text') return typeof value === 'string' && value.length <= MAX_TEXT
  if (metric.kind === 'flag') return typeof value === 'boolean'
  return typeof value === 'number' && Number.isFinite(value)
}
