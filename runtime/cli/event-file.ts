import { closeSync, openSync, writeSync } from 'node:fs'
import { ParleyError, describe } from '../../base/errors.js'
import type { ConversationEvent } from '../conversation/events.js'

const toStderr = (text: string): void => void process.stderr.write(`${text}\n`)

/**
 * One JSON object a line, each written whole at once: what was told survives a crash. `-` is the standard output.
 * A full disk costs events, which are counted, and nothing else: the conversation goes on. `tell` hears of the first, and at the end.
 */
export class EventFile implements Disposable {
  readonly #path: string
  readonly #tell: (text: string) => void
  #fd: number | undefined
  #lost = 0
  /** The last line was cut off, so the next one begins a line of its own. */
  #torn = false

  constructor(path: string, tell: (text: string) => void = toStderr) {
    this.#path = path
    this.#tell = tell
  }

  /** Events that are not in the file. */
  get lost(): number {
    return this.#lost
  }

  /** Throws `events-write`. */
  open(): this {
    try {
      this.#fd = this.#path === '-' ? 1 : openSync(this.#path, 'w', 0o600) // what was said is in it
    } catch (cause) {
      throw new ParleyError('events-write', `cannot write ${this.#path}`, { cause, hint: 'Does its folder exist, and may this user write there?' })
    }
    return this
  }

  readonly write = (event: ConversationEvent): void => {
    if (this.#fd === undefined) return
    const line = Buffer.from(`${this.#torn ? '\n' : ''}${JSON.stringify(event)}\n`)
    try {
      const written = writeSync(this.#fd, line)
      if (written > 0) this.#torn = written < line.length
      if (this.#torn) this.#lose('the disk took half a line')
    } catch (error) {
      this.#lose(describe(error))
    }
  }

  #lose(why: string): void {
    if (this.#lost++ === 0) this.#tell(`events cannot be written to ${this.#path} (${why}); the conversation goes on`)
  }

  [Symbol.dispose](): void {
    if (this.#fd !== undefined && this.#fd !== 1) closeSync(this.#fd)
    if (this.#fd !== undefined && this.#lost > 0) this.#tell(`${this.#lost} events are missing in ${this.#path}`)
    this.#fd = undefined
  }
}
