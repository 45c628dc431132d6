import { pause } from '../../base/clock.js'
import type { Camera, Health, Host } from '../contract.js'
import { childAbort } from '../../base/abort.js'
import { ParleyError, describe } from '../../base/errors.js'
import type { ImageFrame } from '../../base/frames.js'
import { Feed } from '../sensors/feed.js'
import type { CameraSettings } from './settings.js'

/** Where a source puts what it sees. */
export interface Sink {
  frame(frame: ImageFrame): void
  /** The source works although no frame was due. */
  alive(): void
}

/** One way of getting frames, by a process of its own. */
export interface FrameSource {
  /** Runs one process. Resolves when a finite source is over; throws when it is lost; on abort kills it and throws. No process is left in any case. */
  run(sink: Sink, signal: AbortSignal): Promise<void>
  counters?(): Record<string, number>
}

/** Two frames: the one being used and the newest. Old pictures are of no use. */
const QUEUE = 2
/** With the look every 100 ms a stall is noticed within 1.6 s; the promise is 2 s. */
const STALL_MS = 1_500
const LOOK_MS = 100
/** A camera that comes back at once (a bumped plug) is there again soon; a missing one costs a process start every 10 s. */
const FIRST_WAIT_MS = 250
const LONGEST_WAIT_MS = 10_000
const RESTS = 'rests for the sake of the voice'

/** Keeps a source running: notices stalls, kills, reopens with growing waits, and delivers the newest frames. */
export class SupervisedCamera implements Camera {
  readonly kind = 'camera'
  readonly name: string
  readonly #settings: CameraSettings
  readonly #source: FrameSource
  readonly #host: Host
  readonly #closing: AbortController
  readonly #feed = new Feed<ImageFrame>(QUEUE)
  readonly #counters = { frames: 0, opened: 0, lost: 0, stalls: 0 }
  #attempt: AbortController | undefined
  #attemptFrames = 0
  #aliveAt: number
  #lastProgressAt: number
  #trouble: string | undefined = 'no picture yet'
  #work: Promise<unknown> | undefined
  #resting = false

  constructor(settings: CameraSettings, source: FrameSource, host: Host) {
    this.name = settings.name
    this.#settings = settings
    this.#source = source
    this.#host = host
    this.#closing = childAbort(host.signal)
    this.#aliveAt = this.#lastProgressAt = host.clock.now()
  }

  /** Begins; the first frame comes when it comes, or `health` says why not. */
  start(): this {
    this.#work ??= Promise.all([this.#keepRunning(), this.#watch()])
    return this
  }

  frames(): AsyncIterable<ImageFrame> {
    return this.#feed
  }

  /** See `RestingCamera`. */
  rest(resting: boolean): void {
    this.#resting = resting
    if (resting) this.#attempt?.abort(new ParleyError('resting', RESTS))
  }

  health(): Health {
    if (this.#resting) return { ok: true, lastProgressAt: this.#lastProgressAt, detail: RESTS, counters: this.#counters }
    const counters = { ...this.#counters, dropped: this.#feed.dropped, ...this.#source.counters?.() }
    const base = { ok: this.#trouble === undefined, lastProgressAt: this.#lastProgressAt, counters }
    return this.#trouble === undefined ? base : { ...base, detail: this.#trouble }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#closing.abort(new ParleyError('closed', `camera ${this.name} was closed`))
    await this.#work
  }

  /** Called every 100 ms with the monotonic time, also while the source is away. */
  protected onLook(_at: number): void {}

  /** Called once the frames are over. */
  protected onEnd(): void {}

  async #keepRunning(): Promise<void> {
    const { clock, log } = this.#host
    const { signal } = this.#closing
    let waitMs = FIRST_WAIT_MS
    while (!signal.aborted) {
      if (this.#resting) {
        await pause(clock, LOOK_MS, signal)
        continue
      }
      const attempt = (this.#attempt = childAbort(signal))
      this.#attemptFrames = 0
      this.#aliveAt = clock.now()
      try {
        await this.#source.run(this.#sink(attempt.signal), attempt.signal)
        this.#trouble = 'the source has ended'
        break
      } catch (error) {
        if (signal.aborted) break
        if (attempt.signal.reason?.code === 'resting') continue // meant, also where it is to go on by now
        this.#counters.lost++
        this.#trouble = describe(attempt.signal.aborted ? attempt.signal.reason : error)
        log.warn({ driver: this.name, reason: this.#trouble }, 'camera lost')
      } finally {
        this.#attempt = undefined
        attempt.abort() // frees the parent's listener
      }
      if (this.#attemptFrames > 0) waitMs = FIRST_WAIT_MS
      // Between half and the whole, so that several cameras on one hub do not start together.
      await pause(clock, waitMs * (0.5 + Math.random() / 2), signal)
      waitMs = Math.min(2 * waitMs, LONGEST_WAIT_MS)
    }
    this.#closing.abort() // ended by itself: the watch ends too
    this.#feed.end()
    this.onEnd()
  }

  async #watch(): Promise<void> {
    const { clock } = this.#host
    const { signal } = this.#closing
    while (!signal.aborted) {
      await pause(clock, LOOK_MS, signal)
      const now = clock.now()
      if (!this.#resting) this.onLook(now) // who was there is taken to be there still
      const attempt = this.#attempt
      const limit = this.#attemptFrames > 0 ? STALL_MS : this.#settings.openTimeoutMs
      if (!attempt || attempt.signal.aborted || now - this.#aliveAt <= limit) continue
      this.#counters.stalls++
      const what = this.#attemptFrames > 0 ? 'has stalled: nothing came' : 'gave no picture'
      // Told at once, not when the kill is through.
      this.#trouble = `the source ${what} for ${Math.round(now - this.#aliveAt)} ms`
      attempt.abort(new ParleyError('stalled', this.#trouble))
    }
  }

  #sink(signal: AbortSignal): Sink {
    const alive = (): void => {
      if (!signal.aborted) this.#aliveAt = this.#host.clock.now()
    }
    const frame = (image: ImageFrame): void => {
      if (signal.aborted) return // a late frame of a killed process
      alive()
      if (this.#attemptFrames++ === 0) this.#counters.opened++
      this.#counters.frames++
      this.#lastProgressAt = this.#host.clock.now()
      this.#trouble = undefined
      this.#feed.push(image)
    }
    return { frame, alive }
  }
}
