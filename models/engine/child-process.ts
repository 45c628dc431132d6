import { spawn, type ChildProcess } from 'node:child_process'
import { once } from 'node:events'
import type { Duplex } from 'node:stream'
import { fileURLToPath } from 'node:url'
import { describe } from '../../base/errors.js'
import { FrameSplitter, encodeFrame, type Message } from './wire.js'

const PROGRAM = fileURLToPath(new URL('./child.js', import.meta.url))
/** The last words of a dying child, for the error. */
const KEPT_STDERR = 2_000
/** What ONNX Runtime and the GPU libraries read. Nothing else of our environment (it may hold passwords) goes to the child. */
const ENVIRONMENT = /^(PATH|HOME|LANG|LC_|TMPDIR|TZ|LD_LIBRARY_PATH|CUDA_|NVIDIA_|ORT_|TRT_)/

/** Small heaps: the model's memory is outside V8, and a step leaves little garbage. */
export const CHILD_V8_OPTIONS: readonly string[] = ['--max-old-space-size=64', '--max-semi-space-size=2']
/**
 * glibc: one heap for all threads, or garbage of one is not used by another (528 against 130 MB). A step's intermediates are up to
 * a few MB and come back every step, so they must stay in the heap: with the small thresholds of facts.md each is mapped and
 * unmapped anew, and a step takes twice as long (measured, docs/adr/0020). What exceeds 16 MB goes back to the system.
 */
const MALLOC = { MALLOC_ARENA_MAX: '1', MALLOC_MMAP_THRESHOLD_: '8388608', MALLOC_TRIM_THRESHOLD_: '16777216' }

/** The environment of a process that runs a model. */
export function childEnvironment(): NodeJS.ProcessEnv {
  return { ...Object.fromEntries(Object.entries(process.env).filter(([name]) => ENVIRONMENT.test(name))), ...MALLOC }
}

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

  constructor(events: ChildEvents) {
    this.#events = events
    this.#process = spawn(process.execPath, [...CHILD_V8_OPTIONS, PROGRAM], {
      stdio: ['ignore', 'ignore', 'pipe', 'pipe'],
      env: childEnvironment(),
    })
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
