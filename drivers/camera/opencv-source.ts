import { fork, type ChildProcess } from 'node:child_process'
import { fileURLToPath } from 'node:url'
import type { Clock } from '../../base/clock.js'
import { ParleyError } from '../../base/errors.js'
import { monotonicMs, type FromChild, type Order, type ToChild } from './opencv-wire.js'
import type { FrameSource, Sink } from './supervised-camera.js'

const CHILD = fileURLToPath(new URL('./opencv-child.js', import.meta.url))

/** Frames from the OpenCV child. `onFaces` hears how many faces each look found, and the frame's monotonic time. */
export class OpencvSource implements FrameSource {
  readonly #order: Order
  readonly #clock: Clock
  readonly #onFaces: (count: number, at: number) => void
  readonly #counters = { childDropped: 0, frameCostUs: 0, faceCostUs: 0 }

  constructor(order: Order, clock: Clock, onFaces: (count: number, at: number) => void) {
    this.#order = order
    this.#clock = clock
    this.#onFaces = onFaces
  }

  /** `frameCostUs`, `faceCostUs`: what the last frame and the last look cost in the child, µs. */
  counters(): Record<string, number> {
    return { ...this.#counters }
  }

  run(sink: Sink, signal: AbortSignal): Promise<void> {
    return new Promise((resolve, reject) => {
      if (signal.aborted) return reject(signal.reason)
      const child = fork(CHILD, [], {
        serialization: 'advanced',
        execArgv: [],
        stdio: ['ignore', 'ignore', 'pipe', 'ipc'],
        // The memory tracking crashes Node 20 (docs/adr on the camera binding); 1 pool thread: only `read` uses it.
        env: { ...process.env, OPENCV4NODEJS_DISABLE_EXTERNAL_MEM_TRACKING: '1', UV_THREADPOOL_SIZE: '1' },
      })
      const kill = (): void => void child.kill('SIGKILL')
      signal.addEventListener('abort', kill, { once: true })
      let ended = false
      let failure: string | undefined
      let words = ''
      child.stderr?.setEncoding('utf8').on('data', (text: string) => { words = (words + text).slice(-500) })
      child.on('message', (message: FromChild) => {
        if (signal.aborted) return
        if (message.type === 'ended') ended = true
        else if (message.type === 'failed') failure = message.message
        else this.#take(message, child, sink)
      })
      child.on('error', error => { failure = error.message })
      child.on('close', (code, killedBy) => {
        signal.removeEventListener('abort', kill)
        if (signal.aborted) reject(signal.reason)
        else if (ended) resolve()
        else reject(new ParleyError('camera-lost', failure ?? `the camera's process ended (${killedBy ?? `code ${code}`}): ${words.trim().split('\n').at(-1) || 'it gave no reason'}`))
      })
      post(child, this.#order)
    })
  }

  #take(message: Exclude<FromChild, { type: 'ended' | 'failed' }>, child: ChildProcess, sink: Sink): void {
    if (message.type === 'alive') sink.alive()
    else if (message.type === 'dropped') this.#counters.childDropped++
    else if (message.type === 'faces') {
      this.#counters.faceCostUs = Math.round(message.costMs * 1_000)
      this.#onFaces(message.count, this.#local(message.hr))
    } else {
      this.#counters.frameCostUs = Math.round(message.costMs * 1_000)
      const { width, height } = this.#order
      sink.frame({ at: this.#local(message.hr), width, height, rgb: message.rgb })
      post(child, { type: 'credit' })
    }
  }

  /** A time of CLOCK_MONOTONIC on the injected clock. */
  #local(hr: number): number {
    return this.#clock.now() - (monotonicMs() - hr)
  }
}

/** A child that is just dying cannot be written to; that it is gone is told by its `close`. */
function post(child: ChildProcess, message: ToChild): void {
  if (child.connected) child.send(message, () => {})
}
