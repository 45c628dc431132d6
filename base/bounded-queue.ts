/** A queue with a hard limit: when full, the oldest goes and is counted. */
export class BoundedQueue<T> {
  readonly #limit: number
  #items: T[] = []
  #dropped = 0

  constructor(limit: number) {
    if (!Number.isInteger(limit) || limit < 1) throw new RangeError(`a queue's limit is a whole number from 1, not ${limit}`)
    this.#limit = limit
  }

  get length(): number {
    return this.#items.length
  }

  /** How many items were lost since the start. */
  get dropped(): number {
    return this.#dropped
  }

  /** Adds an item; returns the one that had to go, if any. */
  push(item: T): T | undefined {
    this.#items.push(item)
    if (this.#items.length <= this.#limit) return undefined
    this.#dropped++
    return this.#items.shift()
  }

  shift(): T | undefined {
    return this.#items.shift()
  }

  peek(): T | undefined {
    return this.#items[0]
  }

  /** Empties the queue and returns what was in it. */
  clear(): T[] {
    const items = this.#items
    this.#items = []
    return items
  }
}
