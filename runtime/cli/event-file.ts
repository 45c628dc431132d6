import { closeSync, openSync, writeSync } from 'node:fs'
import { ParleyError } from '../../base/errors.js'
import type { ConversationEvent } from '../conversation/events.js'

/** One JSON object a line, each written whole at once: what was told survives a crash. `-` is the standard output. */
export class EventFile implements Disposable {
  readonly #path: string
  #fd: number | undefined

  constructor(path: string) {
    this.#path = path
  }

  open(): this {
    try {
      this.#fd = this.#path === '-' ? 1 : openSync(this.#path, 'w', 0o600) // what was said is in it
    } catch (cause) {
      throw new ParleyError('wav-write', `cannot write ${this.#path}`, { cause })
    }
    return this
  }

  readonly write = (event: ConversationEvent): void => {
    if (this.#fd !== undefined) writeSync(this.#fd, `${JSON.stringify(event)}\n`)
  }

  [Symbol.dispose](): void {
    if (this.#fd !== undefined && this.#fd !== 1) closeSync(this.#fd)
    this.#fd = undefined
  }
}
