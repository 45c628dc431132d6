import type { Health, PlaybackListener, Speaker } from '../../drivers/contract.js'

/** Plays into two speakers of the same rate; the first decides the pace and what was heard. */
export class TeeSpeaker implements Speaker {
  readonly kind = 'speaker'
  readonly name = 'speaker'
  readonly rate: number
  readonly #first: Speaker
  readonly #second: Speaker

  constructor(first: Speaker, second: Speaker) {
    this.rate = first.rate
    this.#first = first
    this.#second = second
  }

  write(samples: Float32Array, signal?: AbortSignal): Promise<void> {
    this.#second.write(samples, signal).catch(() => {}) // it only listens in
    return this.#first.write(samples, signal)
  }

  flush(): number {
    this.#second.flush()
    return this.#first.flush()
  }

  heardMs(): number {
    return this.#first.heardMs()
  }

  queuedMs(): number {
    return this.#first.queuedMs()
  }

  drain(signal?: AbortSignal): Promise<void> {
    return this.#first.drain(signal)
  }

  /** Of the second: it is the one that sounds in a room. */
  tap(listener: PlaybackListener): () => void {
    return this.#second.tap(listener)
  }

  health(): Health {
    return this.#first.health()
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await Promise.all([this.#first[Symbol.asyncDispose](), this.#second[Symbol.asyncDispose]()])
  }
}
