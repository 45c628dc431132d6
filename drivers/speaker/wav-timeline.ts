import type { WavWriter } from '../../base/wav-writer.js'

interface Piece {
  readonly startsAt: number
  readonly samples: Float32Array
}

/**
 * Lays pieces of sound on a file's time line: silence where there was none. What is still to come can be taken back.
 * Its methods decide at once and write in the background, in order; `finish` tells of the first failure.
 */
export class WavTimeline {
  readonly #writer: WavWriter
  #originAt: number
  #coming: Piece[] = []
  #work: Promise<void> = Promise.resolve()
  #failure: { readonly cause: unknown } | undefined

  constructor(writer: WavWriter, originAt: number) {
    this.#writer = writer
    this.#originAt = originAt
  }

  get failure(): { readonly cause: unknown } | undefined {
    return this.#failure
  }

  /** Makes monotonic ms `at` the file's time zero; only before the first sample is in. */
  startAt(at: number): void {
    if (this.#writer.frames === 0) this.#originAt = at
  }

  add(piece: Piece): void {
    this.#coming.push(piece)
  }

  /** Writes what has sounded by `now`, leaves the rest. */
  commit(now: number): void {
    while (this.#coming[0] && this.#endOf(this.#coming[0]) <= now) this.#write(this.#coming.shift()!)
  }

  /** Writes up to `now` and forgets what would have sounded later. */
  cut(now: number): void {
    for (const piece of this.#coming) {
      const count = Math.round(((now - piece.startsAt) * this.#writer.rate) / 1000)
      if (count > 0) this.#write({ startsAt: piece.startsAt, samples: piece.samples.subarray(0, count) })
    }
    this.#coming = []
  }

  /** Ends the file at `now`. */
  async finish(now: number): Promise<void> {
    this.cut(now)
    this.#then(() => this.#fillUntil(this.#index(now)))
    this.#then(() => this.#writer.finish())
    await this.#work
    if (!this.#failure) return
    await this.#writer[Symbol.asyncDispose]()
    throw this.#failure.cause
  }

  #endOf(piece: Piece): number {
    return piece.startsAt + (piece.samples.length * 1000) / this.#writer.rate
  }

  #index(at: number): number {
    return Math.round(((at - this.#originAt) * this.#writer.rate) / 1000)
  }

  #write(piece: Piece): void {
    this.#then(async () => {
      const index = this.#index(piece.startsAt)
      // A sample of rounding between pieces that follow each other is not silence.
      if (index - this.#writer.frames > 1) await this.#fillUntil(index)
      await this.#writer.write(piece.samples)
    })
  }

  async #fillUntil(index: number): Promise<void> {
    while (this.#writer.frames < index) {
      await this.#writer.write(new Float32Array(Math.min(index - this.#writer.frames, this.#writer.rate))) // a second at a time
    }
  }

  #then(step: () => Promise<void>): void {
    this.#work = this.#work.then(() => (this.#failure ? undefined : step())).catch((cause: unknown) => { this.#failure = { cause } })
  }
}
