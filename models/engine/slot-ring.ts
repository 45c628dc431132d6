/**
 * A state whose oldest slots are written over by the newest, where they lie: nothing is moved, and a step gives only what is new.
 * Whatever reads it must not care about the order of its slots.
 */
export class SlotRing {
  readonly #data: Float32Array
  /** Floats of one slot, as far as they lie together, and how many such pieces a slot has. */
  readonly #inner: number
  readonly #outer: number
  readonly #total: number
  readonly #fresh: number
  #at = 0

  /** `data` has `shape`, whose `axis` counts slots; each step gives `fresh` of them, a divisor of their number. */
  constructor(data: Float32Array, shape: readonly number[], axis: number, fresh: number) {
    const size = (dims: readonly number[]): number => dims.reduce((a, b) => a * b, 1)
    this.#data = data
    this.#inner = size(shape.slice(axis + 1))
    this.#outer = size(shape.slice(0, axis))
    this.#total = shape[axis] as number
    this.#fresh = fresh
  }

  write(newest: Float32Array): void {
    const run = this.#fresh * this.#inner
    for (let o = 0; o < this.#outer; o++) this.#data.set(newest.subarray(o * run, (o + 1) * run), (o * this.#total + this.#at) * this.#inner)
    this.#at = (this.#at + this.#fresh) % this.#total
  }

  clear(): void {
    this.#data.fill(0)
    this.#at = 0
  }
}
