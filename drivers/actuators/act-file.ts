import { appendFileSync, closeSync, constants, fdatasync, fstatSync, openSync, renameSync } from 'node:fs'
import { promisify } from 'node:util'
import { ParleyError } from '../../base/errors.js'

const flush = promisify(fdatasync)
/** A pipe that nobody reads is an error, and no wait for ever. */
const APPEND = constants.O_WRONLY | constants.O_APPEND | constants.O_CREAT | constants.O_NONBLOCK

/**
 * JSON lines on the disk. A file that is full becomes `PATH.1`, in place of an older one, so that both together never take
 * more than two times its size. Lines are written at once, for a stop must not wait; only the flush is waited for.
 */
export class ActFile {
  readonly #path: string
  readonly #mostBytes: number
  #fd: number | undefined
  #bytes = 0
  /** Not a file: never renamed. */
  #device = false
  /** A write broke off in the middle of a line, or a power cut did: the next one begins anew. */
  #torn = false
  /** Settles when no flush is under way: a file is not closed under one. */
  #flushing: Promise<unknown> = Promise.resolve()

  constructor(path: string, mostBytes: number) {
    this.#path = path
    this.#mostBytes = mostBytes
  }

  /** Throws `bad-config`: the file cannot be opened. */
  open(): this {
    try {
      this.#fd = this.#openAppend()
    } catch (cause) {
      throw new ParleyError('bad-config', `the actuator's file ${this.#path} cannot be opened`, { hint: 'Is there such a folder, and may this user write to it? [actuator] path', cause })
    }
    return this
  }

  /** Resolves once the line is on the disk for good. Rejects with `act-not-written`. */
  async append(entry: object): Promise<void> {
    const fd = this.#write(entry)
    const flushed = flush(fd)
    this.#flushing = Promise.allSettled([this.#flushing, flushed])
    await flushed.catch((cause: unknown) => { throw this.#failed(cause) })
  }

  async close(): Promise<void> {
    const fd = this.#fd
    this.#fd = undefined
    await this.#flushing
    if (fd !== undefined) closeSync(fd)
  }

  /** Gives the file in which the line is now. */
  #write(entry: object): number {
    if (this.#fd === undefined) throw new ParleyError('closed', `${this.#path} is closed`)
    const line = `${this.#torn ? '\n' : ''}${JSON.stringify(entry)}\n`
    try {
      if (!this.#device && this.#bytes > 0 && this.#bytes + Buffer.byteLength(line) > this.#mostBytes) this.#rotate()
      this.#torn = true
      appendFileSync(this.#fd, line)
      this.#torn = false
    } catch (cause) {
      throw this.#failed(cause)
    }
    this.#bytes += Buffer.byteLength(line)
    return this.#fd
  }

  #rotate(): void {
    const full = this.#fd
    renameSync(this.#path, `${this.#path}.1`)
    this.#fd = this.#openAppend()
    void this.#flushing.then(() => { if (full !== undefined) closeSync(full) })
  }

  #openAppend(): number {
    const fd = openSync(this.#path, APPEND, 0o640)
    const found = fstatSync(fd)
    this.#bytes = found.size
    this.#device = !found.isFile()
    return fd
  }

  #failed(cause: unknown): ParleyError {
    return new ParleyError('act-not-written', `${this.#path} could not be written`, { cause })
  }
}
