/** Columns as wide as their widest cell; the last is not padded. */
export function table(heads: readonly string[], rows: readonly (readonly string[])[]): string[] {
  const widths = heads.map((head, i) => Math.max(head.length, ...rows.map(row => row[i]?.length ?? 0)))
  return [heads, ...rows].map(row => row.map((cell, i) => (i === row.length - 1 ? cell : cell.padEnd(widths[i]!))).join('  ').trimEnd())
}

/** What a value from a device may do to a terminal: nothing. */
export const plain = (value: unknown): string => String(value ?? '–').replace(/[\x00-\x1f\x7f-\x9f]/g, '?').slice(0, 80)
