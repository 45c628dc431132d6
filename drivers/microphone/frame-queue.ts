import { BoundedQueue } from '../../base/bounded-queue.js'
import type { AudioFrame } from '../../base/frames.js'

/** Between a device, which never waits, and one consumer: when full the oldest frame goes, and the next one says so in `dropped`. */
export class FrameQueue {
  readonly #frames: BoundedQueue<AudioFrame>
  #lost = 0
  #ended = false
  #wake: (() => void) | undefined

  constructor(limit: number) {
    this.#frames = new BoundedQueue(limit)
  }

  /** Frames lost because the consumer was slow. */
  get overflowed(): number {
    return this.#frames.dropped
  }

  get length(): number {
    return this.#frames.length
  }

  push(frame: AudioFrame): void {
    if (this.#ended) return
    const gone = this.#frames.push(frame)
    if (gone) this.#lost += gone.samples.length + gone.dropped
    this.#wake?.()
  }

  /** No more frames; the consumer still gets those that are here. */
  end(): void {
    this.#ended = true
    this.#wake?.()
  }

  async *[Symbol.asyncIterator](): AsyncGenerator<AudioFrame> {
    for (;;) {
      const frame = this.#frames.shift()
      if (frame) {
        const dropped = frame.dropped + this.#lost
        this.#lost = 0
        yield dropped === frame.dropped ? frame : { ...frame, dropped }
      } else if (this.#ended) {
        return
      } else {
        await new Promise<void>(resolve => { this.#wake = resolve })
        this.#wake = undefined
      }
    }
  }
}
