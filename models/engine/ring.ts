/** What closes a slot to attention, as in models/README.md. */
export const CLOSED = -1e9

/** Key or value memory of one layer: `data` is [1, H, E, S] (columns) or [1, H, S, E] (rows). */
interface Memory {
  readonly data: Float32Array
  readonly columns: boolean
  /** The layer, i.e. the row of the step's output. */
  readonly slice: number
}

export interface RingShape {
  readonly heads: number
  readonly headSize: number
  readonly factSlots: number
  readonly streamSlots: number
  /** Ticks for which a tick stays open in which nothing was said, heard, read or played; then attention passes it over. */
  readonly idleTicks: number
}

/**
 * The context: fact slots first, which the stream never touches, then a ring of the last ticks. The host writes each step's
 * key and value into the very buffers that the graph reads: nothing is copied or moved. `mask` opens the slots that hold something.
 */
export class KvRing {
  readonly mask: Float32Array
  /** The same for a fact step, which sees the facts before it and nothing of the stream. */
  readonly factMask: Float32Array
  readonly #shape: RingShape
  readonly #memories: Memory[] = []
  /** By slot of the ring: whether its tick was idle. */
  readonly #idle: boolean[]
  #facts = 0
  #ticks = 0

  constructor(shape: RingShape) {
    this.#shape = shape
    this.mask = new Float32Array(shape.factSlots + shape.streamSlots).fill(CLOSED)
    this.factMask = this.mask.slice()
    this.#idle = new Array<boolean>(shape.streamSlots).fill(false)
  }

  add(data: Float32Array, columns: boolean, slice: number): void {
    this.#memories.push({ data, columns, slice })
  }

  /** How many facts tokens are in. */
  get facts(): number {
    return this.#facts
  }

  /** Ticks since the last reset: the stream position of the next one. */
  get ticks(): number {
    return this.#ticks
  }

  /** Keys and values [L, H, E] of a fact step; its slot opens for the steps after it. */
  writeFact(keys: Float32Array, values: Float32Array): void {
    this.#write(this.#facts, keys, values)
    this.mask[this.#facts] = 0
    this.factMask[this.#facts++] = 0
  }

  /** Keys, then values, of the facts tokens from..to, as they were written: [to - from, 2, L, H, E]. */
  copyFacts(from: number, to: number): Float32Array {
    const { floatsPerToken } = this
    const half = floatsPerToken / 2
    const copy = new Float32Array((to - from) * floatsPerToken)
    for (let slot = from; slot < to; slot++) {
      const at = (slot - from) * floatsPerToken
      this.#each(slot, (data, i, columns, j) => { copy[at + (columns ? 0 : half) + j] = data[i] as number })
    }
    return copy
  }

  /** Floats that one token has here: keys and values of all layers. */
  get floatsPerToken(): number {
    return this.#memories.length * this.#shape.heads * this.#shape.headSize
  }

  /** The same of a tick: over the oldest once the ring is full. An `idle` one is closed again after `idleTicks`. */
  writeTick(keys: Float32Array, values: Float32Array, idle: boolean): void {
    const { factSlots, streamSlots, idleTicks } = this.#shape
    const at = this.#ticks % streamSlots
    this.#write(factSlots + at, keys, values)
    this.mask[factSlots + at] = 0
    this.#idle[at] = idle
    this.#ticks++
    const old = this.#ticks - 1 - idleTicks
    if (old >= 0 && idleTicks < streamSlots && this.#idle[old % streamSlots]) this.mask[factSlots + (old % streamSlots)] = CLOSED
  }

  /** Forgets all facts after the first `kept`. */
  keepFacts(kept: number): void {
    this.mask.fill(CLOSED, kept, this.#shape.factSlots)
    this.factMask.fill(CLOSED, kept)
    this.#facts = kept
  }

  /** Forgets the ticks. What is left in the slots is closed, so it need not be cleared. */
  resetStream(): void {
    this.mask.fill(CLOSED, this.#shape.factSlots)
    this.#ticks = 0
  }

  #write(slot: number, keys: Float32Array, values: Float32Array): void {
    this.#each(slot, (data, i, columns, j) => { data[i] = (columns ? keys : values)[j] as number })
  }

  /** Visits the numbers of one slot: number j of [L, H, E] stands at `data[i]`. */
  #each(slot: number, visit: (data: Float32Array, i: number, columns: boolean, j: number) => void): void {
    const { heads, headSize, factSlots, streamSlots } = this.#shape
    const slots = factSlots + streamSlots
    const layer = heads * headSize
    for (const { data, columns, slice } of this.#memories) {
      const from = slice * layer
      for (let h = 0; h < heads; h++) {
        for (let e = 0; e < headSize; e++) {
          const i = columns ? (h * headSize + e) * slots + slot : (h * slots + slot) * headSize + e
          visit(data, i, columns, from + h * headSize + e)
        }
      }
    }
  }
}
