import { fork, type ChildProcess } from 'node:child_process'
import { fileURLToPath } from 'node:url'
import { ParleyError } from '../../base/errors.js'
import type { ChildConfig, FromChild, ToChild } from './child-protocol.js'

const CHILD = fileURLToPath(new URL('./child.js', import.meta.url))
/** A flush is done in under 5 ms; a child that needs longer is ended, and that is silent at once. */
const SILENT_LIMIT_MS = 100

interface Waiting {
  readonly resolve: () => void
  readonly reject: (error: ParleyError) => void
}

/** One life of the speaker child. */
export class SpeakerProcess {
  readonly #child: ChildProcess
  readonly #waiting = new Map<number, Waiting>()
  readonly ready: Promise<void>
  /** Resolves when the process is gone. */
  readonly gone: Promise<void>
  #nextId = 1
  #why = ''
  #silence: { readonly id: number; readonly timer: NodeJS.Timeout } | undefined
  #alive = true
  #opened = false

  constructor(config: ChildConfig) {
    this.#child = fork(CHILD, [JSON.stringify(config)], { serialization: 'advanced', stdio: ['ignore', 'ignore', 'pipe', 'ipc'], execArgv: [] })
    // The last words of ALSA say why a device cannot be opened.
    this.#child.stderr?.on('data', (bytes: Buffer) => { this.#why = (this.#why + bytes.toString()).slice(-4_000) })
    this.ready = this.#expect(0)
    this.ready.catch(() => {}) // whoever needs it ready, awaits it
    this.gone = new Promise(resolve => {
      this.#child.once('exit', () => { this.#ended(); resolve() })
      this.#child.once('error', error => { this.#why ||= error.message; this.#ended(); resolve() })
    })
    this.#child.on('message', message => this.#hear(message as FromChild))
  }

  /** Whether the device was opened; a child that is still starting must not be taken for one that hangs. */
  get opened(): boolean {
    return this.#opened
  }

  get alive(): boolean {
    return this.#alive
  }

  get pid(): number | undefined {
    return this.#child.pid
  }

  /** Why it ended, as far as it said: the last line that names an error, for Node closes an uncaught one with its own version. */
  get why(): string {
    const lines = this.#why.trim().split('\n')
    return lines.findLast(line => /^\S*error\b/i.test(line)) ?? lines.at(-1) ?? ''
  }

  /** Resolves when the device has the chunk; rejects when the process ended before, or a flush took it back. */
  play(pcm: Uint8Array): Promise<void> {
    if (!this.#alive) return Promise.reject(this.#lost())
    const id = this.#nextId++
    const taken = this.#expect(id)
    this.#tell({ type: 'play', id, pcm })
    return taken
  }

  flush(): void {
    if (!this.#alive) return
    for (const [id, { reject }] of this.#waiting) {
      if (id === 0) continue // still opening
      this.#waiting.delete(id)
      reject(new ParleyError('flushed', 'taken back by a flush'))
    }
    const id = this.#nextId++
    clearTimeout(this.#silence?.timer)
    this.#silence = { id, timer: setTimeout(() => this.kill(), SILENT_LIMIT_MS) }
    this.#tell({ type: 'flush', id })
  }

  /** Silent in a few ms, whatever the process is doing. */
  kill(): void {
    this.#child.kill('SIGKILL')
  }

  #expect(id: number): Promise<void> {
    return new Promise((resolve, reject) => this.#waiting.set(id, { resolve, reject }))
  }

  #tell(message: ToChild): void {
    this.#child.send(message, () => {}) // an error here is the end of the process, which `exit` tells
  }

  #hear(message: FromChild): void {
    if (message.type === 'failed') {
      this.#why = message.why
    } else if (message.type === 'silent') {
      if (message.id !== this.#silence?.id) return
      clearTimeout(this.#silence.timer)
      this.#silence = undefined
    } else {
      if (message.type === 'ready') this.#opened = true
      const id = message.type === 'ready' ? 0 : message.id
      this.#waiting.get(id)?.resolve()
      this.#waiting.delete(id)
    }
  }

  #ended(): void {
    this.#alive = false
    clearTimeout(this.#silence?.timer)
    for (const { reject } of this.#waiting.values()) reject(this.#lost())
    this.#waiting.clear()
  }

  #lost(): ParleyError {
    return new ParleyError('device-lost', `the speaker process ended${this.why ? `: ${this.why}` : ''}`)
  }
}
