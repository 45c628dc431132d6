import type { AudioFrame, ImageFrame, Reading, ToolCall } from '../base/frames.js'
import type { Clock } from '../base/clock.js'
import type { Logger } from '../base/log.js'

/** What every driver is given besides its own configuration. */
export interface Host {
  readonly clock: Clock
  readonly log: Logger
  /** Aborts when the runtime is closing. */
  readonly signal: AbortSignal
}

/** How a part is doing; `lastProgressAt` is monotonic ms of the last thing that proves work, not of a timer. */
export interface Health {
  readonly ok: boolean
  readonly lastProgressAt: number
  readonly detail?: string
  readonly counters: Readonly<Record<string, number>>
}

interface Part extends AsyncDisposable {
  /** The name from the configuration. */
  readonly name: string
  health(): Health
}

/** Sound in. Opened once; a lost device is found again without the consumer noticing more than `dropped`. */
export interface Microphone extends Part {
  readonly kind: 'microphone'
  readonly rate: number
  /** Frames of 20 ms in order. Ends when the source ends (a file) or the driver is closed. One consumer. */
  frames(): AsyncIterable<AudioFrame>
}

/** Who must know what really sounds: the echo gate. */
export interface PlaybackListener {
  /** This will sound; `at` is monotonic ms of its first sample, up to 80 ms from now. */
  played(frame: { readonly at: number; readonly rate: number; readonly samples: Float32Array }): void
  /** Nothing that was announced for later than `at` sounds. */
  cut(at: number): void
}

/** Sound out, paced by its device. */
export interface Speaker extends Part {
  readonly kind: 'speaker'
  readonly rate: number
  /** Queues mono samples in [-1, 1] of `rate`; resolves when there is room for more (the credit window, ≤ 200 ms ahead). */
  write(samples: Float32Array, signal?: AbortSignal): Promise<void>
  /** Drops what is queued and silences the device at once. Returns the ms that were heard since the last flush or start. */
  flush(): number
  /** Ms heard since the last flush or start, never more than was written. */
  heardMs(): number
  /** Ms queued and not yet heard. */
  queuedMs(): number
  /** Resolves once all that was written has been heard. */
  drain(signal?: AbortSignal): Promise<void>
  /** Tells `listener` all that will sound from now on; call what is returned to stop. */
  tap(listener: PlaybackListener): () => void
}

export interface Camera extends Part {
  readonly kind: 'camera'
  frames(): AsyncIterable<ImageFrame>
}

export interface Sensor extends Part {
  readonly kind: 'sensor'
  readings(): AsyncIterable<Reading>
}

/** Carries out tool calls. `stop` must work with everything else dead: it never queues and never throws. */
export interface Actuator extends Part {
  readonly kind: 'actuator'
  act(call: ToolCall, signal: AbortSignal): Promise<void>
  stop(): void
}

export type Driver = Microphone | Speaker | Camera | Sensor | Actuator

/** A row of the driver table: the schema owns the configuration, `open` does the work. */
export interface DriverFactory<C, D extends Driver> {
  open(config: C, host: Host): Promise<D>
}
