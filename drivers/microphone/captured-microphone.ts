import { pause } from '../../base/clock.js'
import type { Health, Host, Microphone } from '../contract.js'
import { childAbort } from '../../base/abort.js'
import { ParleyError, describe } from '../../base/errors.js'
import { MIC_RATE, type AudioFrame } from '../../base/frames.js'
import { CaptureClock } from './capture-clock.js'
import { FrameQueue } from './frame-queue.js'
import { RecorderChild, type RecorderKind } from './recorder-child.js'

/** Samples a frame: 20 ms. */
export const FRAME = MIC_RATE / 50
/** A live source gives data every 20 ms; a second without is a device that hangs. */
const SILENT_LIMIT_MS = 1_000
/** A sound server that is starting answers in well under this. */
const OPEN_LIMIT_MS = 3_000
const BACKOFF_MS = { first: 100, most: 1_000 }

export interface CaptureConfig {
  readonly name: string
  /** The device's stable name, as `parley devices` lists it; undefined is the system's default. */
  readonly device?: string | undefined
  readonly queueMs: number
}

/** A recorder program, watched and started again whenever the device is lost. */
export class CapturedMicrophone implements Microphone {
  readonly kind = 'microphone'
  readonly rate = MIC_RATE
  readonly name: string
  readonly #config: CaptureConfig
  readonly #recorder: RecorderKind
  readonly #host: Host
  readonly #closing: AbortController
  readonly #queue: FrameQueue
  readonly #counters = { frames: 0, lost: 0, gapSamples: 0 }
  #running: Promise<void> | undefined
  #child: RecorderChild | undefined
  #lastDataAt = -Infinity
  /** Monotonic ms at which the last delivered frame ended. */
  #endAt: number | undefined
  #why: ParleyError | undefined

  constructor(config: CaptureConfig, recorder: RecorderKind, host: Host) {
    this.name = config.name
    this.#config = config
    this.#recorder = recorder
    this.#host = host
    this.#closing = childAbort(host.signal)
    this.#queue = new FrameQueue(Math.max(1, Math.round(config.queueMs / 20)))
  }

  /** Resolves with the first data. Throws `missing-program`, or `device-missing` with what the recorder said. */
  async open(): Promise<this> {
    this.#running = this.#keepRecording()
    const end = this.#host.clock.now() + OPEN_LIMIT_MS
    while (this.#lastDataAt === -Infinity) {
      if (this.#why?.code === 'missing-program' || this.#host.clock.now() > end || this.#closing.signal.aborted) {
        await this[Symbol.asyncDispose]()
        if (this.#why?.code === 'missing-program') throw this.#why
        throw new ParleyError('device-missing', `microphone ${this.#config.device ?? 'default'} gave no sound in ${OPEN_LIMIT_MS} ms`, { cause: this.#why, hint: 'Is it plugged in? `parley devices` lists what there is.' })
      }
      await this.#host.clock.sleep(10)
    }
    return this
  }

  frames(): AsyncIterable<AudioFrame> {
    return this.#queue
  }

  health(): Health {
    const ok = this.#host.clock.now() - this.#lastDataAt < SILENT_LIMIT_MS
    return { ok, lastProgressAt: this.#lastDataAt, ...(ok || !this.#why ? {} : { detail: describe(this.#why) }), counters: { ...this.#counters, overflowed: this.#queue.overflowed } }
  }

  /** The recorder's process, for tests that kill it. */
  get pid(): number | undefined {
    return this.#child?.pid
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#closing.abort()
    await this.#running
  }

  async #keepRecording(): Promise<void> {
    const { signal } = this.#closing
    let wait = BACKOFF_MS.first
    while (!signal.aborted) {
      const before = this.#counters.frames
      this.#why = await this.#recordOnce(signal)
      if (signal.aborted) break
      this.#counters.lost++
      if (this.#counters.frames > before) wait = BACKOFF_MS.first
      this.#host.log.warn({ driver: this.name, why: describe(this.#why), retryMs: wait }, 'microphone lost')
      await pause(this.#host.clock, wait, signal)
      wait = Math.min(wait * 2, BACKOFF_MS.most)
    }
    this.#queue.end()
  }

  async #recordOnce(signal: AbortSignal): Promise<ParleyError> {
    const take = this.#taker()
    const child = new RecorderChild(this.#recorder, this.#config.device, take)
    this.#child = child
    const openedAt = this.#host.clock.now()
    const done = childAbort(signal)
    try {
      return await Promise.race([child.ended, this.#hung(openedAt, done.signal)])
    } finally {
      done.abort()
      await child.kill()
    }
  }

  /** Resolves when no data has come for a second, or when closing. */
  async #hung(openedAt: number, signal: AbortSignal): Promise<ParleyError> {
    const { clock } = this.#host
    while (!signal.aborted && clock.now() - Math.max(openedAt, this.#lastDataAt) < SILENT_LIMIT_MS) {
      await pause(clock, 100, signal)
    }
    return new ParleyError('device-lost', `no data for ${SILENT_LIMIT_MS} ms`)
  }

  /** Cuts one recording's bytes into stamped frames. Bytes of an older recording that come late go nowhere. */
  #taker(): (bytes: Buffer) => void {
    const stamps = new CaptureClock(MIC_RATE, this.#recorder.latencyMs)
    let rest: Buffer = Buffer.alloc(0)
    let received = 0
    let framed = 0
    return bytes => {
      const now = this.#host.clock.now()
      this.#lastDataAt = now
      received += bytes.length
      stamps.arrived(received / 2, now)
      rest = rest.length ? Buffer.concat([rest, bytes]) : bytes
      while (rest.length >= FRAME * 2) {
        this.#deliver(stamps.at(framed), rest)
        framed += FRAME
        rest = rest.subarray(FRAME * 2)
      }
    }
  }

  #deliver(stamp: number, bytes: Buffer): void {
    const samples = new Float32Array(FRAME)
    for (let i = 0; i < FRAME; i++) samples[i] = bytes.readInt16LE(i * 2) / 32768
    const at = Math.max(stamp, this.#endAt === undefined ? -Infinity : this.#endAt - 20) // stamps never run backwards
    // A gap under one frame is jitter of the stamps, not loss.
    const gapMs = this.#endAt === undefined ? 0 : at - this.#endAt
    const dropped = gapMs > 20 ? Math.round((gapMs * MIC_RATE) / 1000) : 0
    this.#endAt = at + 20
    this.#counters.frames++
    this.#counters.gapSamples += dropped
    this.#queue.push({ at, rate: MIC_RATE, samples, dropped })
  }
}
