import type { ChildProcess } from 'node:child_process'
import { once } from 'node:events'
import type { Duplex } from 'node:stream'
import { describe } from '../../base/errors.js'
import { spawnChild } from './spare-child.js'
import { FrameSplitter, encodeFrame, type Message } from './wire.js'

/** The last words of a dying child, for the error. */
const KEPT_STDERR = 2_000

export interface ChildEvents {
  message(message: Message): void
  /** Once, when the process is gone or can no longer be understood (then it is killed). */
  lost(reason: string): void
}

/** The parent's end of the model's process. */
export class ModelProcess {
  readonly #process: ChildProcess
  readonly #pipe: Duplex
  readonly #splitter = new FrameSplitter()
  readonly #gone: Promise<unknown>
  #events: ChildEvents | undefined
  #stderr = ''

  constructor(events: ChildEvents, child = spawnChild()) {
    this.#events = events
    this.#process = child
    this.#gone = once(this.#process, 'close').catch(() => {}) // an error of the spawn is told by 'error' below
    this.#pipe = this.#process.stdio[PIPE_INDEX] as Duplex
    this.#pipe.on('data', (chunk: Buffer) => this.#read(chunk))
    this.#pipe.on('error', () => {}) // EPIPE of a dead child: 'close' tells it, with the reason
    this.#process.stderr?.on('data', (chunk: Buffer) => { this.#stderr = (this.#stderr + chunk.toString()).slice(-KEPT_STDERR) })
    this.#process.on('error', error => this.#lose(`it could not start: ${describe(error)}`))
    this.#process.on('close', (code, signal) => this.#lose(signal ? `it was killed by ${signal}` : `it ended with code ${code}${this.#stderr && `: ${this.#stderr.trim()}`}`))
  }

  get pid(): number | undefined {
    return this.#process.pid
  }

  send(message: Message): void {
    if (this.#events) this.#pipe.write(encodeFrame(message))
  }

  /** SIGKILL: takes ms, also inside a native call (facts.md). `lost` is told `reason`. */
  kill(reason: string): void {
    this.#process.kill('SIGKILL')
    this.#lose(reason)
  }

  /** Kills it without telling anybody, and waits until it is gone. */
  async end(): Promise<void> {
    this.#events = undefined
    this.#process.kill('SIGKILL')
    await this.#gone
  }

  #read(chunk: Buffer): void {
    try {
      for (const message of this.#splitter.push(chunk)) this.#events?.message(message)
    } catch (error) {
      this.kill(describe(error))
    }
  }

  #lose(reason: string): void {
    const events = this.#events
    this.#events = undefined
    events?.lost(reason)
  }
}

/** stdin, stdout, stderr, then ours. */
const PIPE_INDEX = 3
