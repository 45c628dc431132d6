import { percentile, wilson } from './statistics.js'

/** One number of the table. */
export interface Figure {
  readonly key: string
  readonly title: string
  readonly unit: '%' | 'ms' | 'an hour' | 'Hz' | 'dB' | 'letters/s'
  /** Undefined: not measured. */
  readonly value: number | undefined
  /** How many of `of` it stands on; hours of sound for a rate. */
  readonly n: number
  readonly of: string
  /** Wilson's 95 % interval, in the unit. */
  readonly interval?: readonly [low: number, high: number]
  readonly bar?: Bar
  /** The least `n` on which the bar is met; fewer can only miss it. */
  readonly needs?: number
  /** Compared between int8 and fp32. */
  readonly accuracy?: boolean
}

export type Bar = { readonly least: number } | { readonly most: number }

type Label = Pick<Figure, 'key' | 'title'> & Partial<Pick<Figure, 'of' | 'bar' | 'accuracy'>>

/** How many of `all` are `hits`, in percent. */
export function share<T>(label: Label, all: readonly T[], hit: (x: T) => boolean): Figure {
  const n = all.length
  const hits = all.filter(hit).length
  const [low, high] = wilson(hits, n)
  return { of: 'cases', ...label, unit: '%', n, value: n ? (100 * hits) / n : undefined, ...(n && { interval: [100 * low, 100 * high] as const }) }
}

/** p50 and p95 of durations; the bars may differ. */
export function durations(label: Pick<Label, 'key' | 'title' | 'of'>, values: readonly number[], bars: { p50?: number; p95?: number } = {}): Figure[] {
  return ([['p50', 0.5], ['p95', 0.95]] as const).map(([name, at]) => {
    const bar = bars[name]
    return { of: 'replies', ...label, key: `${label.key}.${name}`, title: `${label.title}, ${name}`, unit: 'ms', n: values.length, value: percentile(values, at), ...(bar !== undefined && { bar: { most: bar } }) }
  })
}

export type Verdict = 'met' | 'missed' | 'not enough' | 'not measured' | 'no bar'

export function verdictOf({ value, bar, n, needs = 0 }: Pick<Figure, 'value' | 'bar' | 'n' | 'needs'>): Verdict {
  if (value === undefined) return 'not measured'
  if (!bar) return 'no bar'
  const met = 'least' in bar ? value >= bar.least : value <= bar.most
  return !met ? 'missed' : n < needs ? 'not enough' : 'met'
}

/** How much worse than `other`, in the unit; negative when it is better. Undefined when either was not measured. */
export function lossAgainst(figure: Figure, other: { readonly value?: number | undefined } | undefined): number | undefined {
  if (figure.value === undefined || other?.value === undefined) return undefined
  const difference = figure.value - other.value
  return figure.bar && 'most' in figure.bar ? difference : -difference
}
