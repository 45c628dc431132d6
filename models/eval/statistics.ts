/** z of a two-sided 95 % interval. */
const Z95 = 1.959964

/** Wilson's score interval of a share, 95 %, as [low, high] in 0…1 (E. B. Wilson, JASA 22, 1927). [0, 1] when there is nothing. */
export function wilson(hits: number, n: number): [low: number, high: number] {
  if (n === 0) return [0, 1]
  const p = hits / n
  const z2 = Z95 * Z95
  const centre = p + z2 / (2 * n)
  const spread = Z95 * Math.sqrt((p * (1 - p)) / n + z2 / (4 * n * n))
  const scale = 1 + z2 / n
  return [Math.max(0, (centre - spread) / scale), Math.min(1, (centre + spread) / scale)]
}

/** The smallest value that at least `share` of all do not exceed; undefined when there are none. */
export function percentile(values: ArrayLike<number>, share: number): number | undefined {
  const sorted = Float64Array.from(values).sort()
  return sorted[Math.max(0, Math.ceil(share * sorted.length) - 1)]
}
