/** Out of order answers that are remembered; beyond it a crash sends some records twice, which their ids show. */
const MAX_RANGES = 64

/** Which records are done: all up to `upTo`, and some above it (live ones overtake the old). */
export class Acked {
  upTo = 0
  readonly #above = new Set<number>()

  has(seq: number): boolean {
    return seq <= this.upTo || this.#above.has(seq)
  }

  /** Of the numbers from `first` to `last`, how many are not done. */
  missing(first: number, last: number): number {
    let done = Math.max(0, Math.min(last, this.upTo) - first + 1)
    for (const seq of this.#above) if (seq >= first && seq <= last) done++
    return last - first + 1 - done
  }

  add(seq: number): void {
    if (seq > this.upTo) this.#above.add(seq)
    while (this.#above.delete(this.upTo + 1)) this.upTo++
  }

  /** Everything up to here is done or gone. */
  skipTo(seq: number): void {
    for (const above of this.#above) if (above <= seq) this.#above.delete(above)
    this.upTo = Math.max(this.upTo, seq)
    while (this.#above.delete(this.upTo + 1)) this.upTo++
  }

  toJSON(): { upTo: number; above: [number, number][] } {
    const ranges: [number, number][] = []
    for (const seq of [...this.#above].sort((a, b) => a - b)) {
      const last = ranges.at(-1)
      if (last && last[1] === seq - 1) last[1] = seq
      else if (ranges.length < MAX_RANGES) ranges.push([seq, seq])
      else break
    }
    return { upTo: this.upTo, above: ranges }
  }

  /** From what `toJSON` gave; throws on anything else, which its owner takes for a lost file. */
  restore(saved: { upTo: number; above: [number, number][] }): void {
    if (!Number.isSafeInteger(saved.upTo) || saved.upTo < 0) throw new RangeError('not a sequence number')
    this.upTo = saved.upTo
    for (const [from, to] of saved.above) for (let seq = from; seq <= to && seq - from < 100_000; seq++) this.add(seq)
  }
}
