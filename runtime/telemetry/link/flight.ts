import { ParleyError } from '../../../base/errors.js'

/** More than this waiting means that the link is too slow for what is said; each is some hundred bytes. */
const MAX_WAITING = 256

/** Lets at most `limit` messages be on their way at once: a broker answers more than its receive maximum with an error. */
export class Flight {
  readonly #limit: number
  readonly #waiting: { go: () => void; fail: (error: unknown) => void }[] = []
  #flying = 0
  #over: unknown

  constructor(limit: number) {
    this.#limit = limit
  }

  /** Runs `send` when there is room. Rejects with `busy` if too many wait, or with the reason of `end`. */
  async take<T>(send: () => Promise<T>): Promise<T> {
    if (this.#over) throw this.#over
    if (this.#flying >= this.#limit) await this.#room()
    this.#flying++
    try {
      return await new Promise<T>((resolve, reject) => {
        this.#failures.add(reject)
        send().then(resolve, reject).finally(() => this.#failures.delete(reject))
      })
    } finally {
      this.#flying--
      this.#waiting.shift()?.go()
    }
  }

  /** The connection is gone: nothing that is on its way will be answered. */
  end(reason: unknown): void {
    this.#over = reason
    for (const fail of this.#failures) fail(reason)
    for (const { fail } of this.#waiting.splice(0)) fail(reason)
  }

  readonly #failures = new Set<(error: unknown) => void>()

  #room(): Promise<void> {
    if (this.#waiting.length >= MAX_WAITING) throw new ParleyError('busy', `${MAX_WAITING} messages wait to be sent already`)
    return new Promise((go, fail) => this.#waiting.push({ go, fail }))
  }
}
