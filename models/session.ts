import type { ToolCall } from '../base/frames.js'

/** What one tick gives to the model. `audio` is exactly one tick of sound at the bundle's input rate. */
export interface Tick {
  /** Monotonic ms of the first sample of `audio`. */
  readonly at: number
  readonly audio: Float32Array
}

/** What one tick of the model gives back. */
export interface Said {
  /** The `at` of the tick that this answers. */
  readonly at: number
  /** A piece of text, with its leading space where a word begins; empty for most ticks. */
  readonly text: string
  /** Piece of what the model heard the person say; empty for most ticks. Never leaves the device. */
  readonly heard: string
  /** One tick of sound at the bundle's output rate, or undefined while the model is silent. */
  readonly speech: Float32Array | undefined
  /** A complete, well-formed tool call that ended with this tick. */
  readonly call?: ToolCall
  /** A style token: neutral, cheerful, calm, whisper, sing, laugh, chime. */
  readonly style?: string
  /** `begin` opens a reply, `end` closes it, `cut` closes it because the person spoke over it. */
  readonly mark?: 'begin' | 'end' | 'cut'
  /** Ms that the step took in the child. */
  readonly stepMs: number
}

/** A running model. One call at a time is stepped, in order; calls beyond the credit window wait. */
export interface OmniSession extends AsyncDisposable {
  readonly name: string
  readonly provider: string
  readonly inputRate: number
  readonly outputRate: number
  readonly tickSamples: number
  /** One tick. Rejects with code `engine-lost` when the child died (the session respawns by itself). */
  step(tick: Tick, signal?: AbortSignal): Promise<Said>
  /**
   * Replaces the facts, as `key: value` lines; the model reads them before the next tick. `passing`: more of them, behind the
   * others, that change often and are never written to a disk.
   */
  setFacts(facts: readonly string[], passing?: readonly string[]): Promise<void>
  /** Puts a line on the input text channel, a token a tick: an event (`battery 9`, `person arrived`), or a typed turn. `say`: words that it says as they are, in its own voice. */
  tell(line: string, kind?: 'event' | 'typed' | 'say'): void
  /** Forgets the talk, keeps the facts. */
  reset(): Promise<void>
  /** How many times the child was respawned. */
  readonly respawns: number
}
