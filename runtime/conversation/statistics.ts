/** The value below which `part` (0 to 1) of the values lie (nearest rank); undefined of none. */
export function quantile(values: readonly number[], part: number): number | undefined {
  const sorted = [...values].sort((a, b) => a - b)
  return sorted[Math.max(0, Math.ceil(part * sorted.length) - 1)]
}

export interface StepSummary {
  readonly count: number
  readonly p50: number | null
  readonly p95: number | null
  readonly max: number | null
}

/** Longer than any turn; older steps than 80 s do not describe it. */
const KEPT = 1_000

/** Steps that tell how it goes now: 10 s; fewer than half of them tell nothing, the first are slow on any machine. */
const RECENT = 125

/** Step times since the last turn, ms, and of late. */
export class StepTimes {
  #ms: number[] = []
  #count = 0
  readonly #recent: number[] = []

  /** p95 of the last 10 s; undefined at the beginning. */
  get recentP95(): number | undefined {
    return this.#recent.length < RECENT / 2 ? undefined : quantile(this.#recent, 0.95)
  }

  add(ms: number): void {
    this.#count++
    this.#recent.push(ms)
    if (this.#recent.length > RECENT) this.#recent.shift()
    this.#ms.push(ms)
    if (this.#ms.length > KEPT) this.#ms.shift()
  }

  /** Sums up, and begins anew. */
  take(): StepSummary {
    const of = (part: number): number | null => round(quantile(this.#ms, part))
    const summary = { count: this.#count, p50: of(0.5), p95: of(0.95), max: of(1) }
    this.#ms = []
    this.#count = 0
    return summary
  }
}

/** To a hundredth: more is noise in a line that people read. */
export function round(ms: number | undefined): number | null {
  return ms === undefined || !Number.isFinite(ms) ? null : Math.round(ms * 100) / 100
}
