import { BoundedQueue } from '../../base/bounded-queue.js'

/** From a source that never waits to one consumer. When full the oldest item goes and is counted. */
export class Feed<T> implements AsyncIterable<T> {
  readonly #items: BoundedQueue<T>
  #ended = false
  #wake: (() => void) | undefined

  constructor(limit: number) {
    this.#items = new BoundedQueue(limit)
  }

  get dropped(): number {
    return this.#items.dropped
  }

  push(item: T): void {
    if (this.#ended) return
    this.#items.push(item)
    this.#wake?.()
  }

  /** No more items; the consumer still gets those that are here. */
  end(): void {
    this.#ended = true
    this.#wake?.()
  }

  async *[Symbol.asyncIterator](): AsyncGenerator<T> {
    for (;;) {
      const item = this.#items.shift()
      if (item !== undefined) yield item
      else if (this.#ended) return
      else await new Promise<void>(resolve => { this.#wake = resolve })
    }
  }
}
