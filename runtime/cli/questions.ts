import { createInterface, type Interface } from 'node:readline'
import type { Readable, Writable } from 'node:stream'
import { ParleyError } from '../../base/errors.js'

/** Asks on a terminal, or reads answers that are piped in, a line each: lines that come before their question are kept for it. */
export class Questions implements Disposable {
  readonly #lines: Interface
  readonly #answers: AsyncIterator<string>
  readonly #output: Writable
  readonly #signal: AbortSignal

  constructor(input: Readable, output: Writable, signal: AbortSignal) {
    this.#lines = createInterface({ input, terminal: false })
    this.#answers = this.#lines[Symbol.asyncIterator]()
    this.#output = output
    this.#signal = signal
    signal.addEventListener('abort', () => this.#lines.close(), { once: true })
  }

  /** Rejects when nobody is there, or with the signal. */
  ask = async (question: string): Promise<string> => {
    this.#output.write(question)
    const { value, done } = await this.#answers.next()
    this.#signal.throwIfAborted()
    if (done) throw new ParleyError('bad-config', `nobody answered: ${question.trim()}`, { hint: 'At a terminal it asks; without a person: parley provision --from FILE' })
    return value
  }

  [Symbol.dispose](): void {
    this.#lines.close()
  }
}
