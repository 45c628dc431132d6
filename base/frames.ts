/** What flows between drivers, models and the runtime. Every `at` is monotonic ms of the first sample, stamped at capture. */

/** Mono sound. `samples` are floats in [-1, 1]. */
export interface AudioFrame {
  readonly at: number
  readonly rate: number
  readonly samples: Float32Array
  /** Samples lost just before this frame (a full ring, a device gap). */
  readonly dropped: number
}

/** A still from a camera: packed RGB, 8 bits a channel, `width * height * 3` bytes. */
export interface ImageFrame {
  readonly at: number
  readonly width: number
  readonly height: number
  readonly rgb: Uint8Array
}

/** One value of one sensor. `source` is the name from the configuration; text values are lower-case words. */
export interface Reading {
  readonly source: string
  readonly at: number
  readonly value: number | string | boolean
  readonly unit?: string
}

/** What a tool call carries: names and values as the model's grammar gives them. */
export interface ToolCall {
  readonly name: string
  readonly args: Readonly<Record<string, string | number>>
}

/** The tick is 80 ms: 12.5 steps of the model a second. */
export const TICK_MS = 80
/** The sample rate that the microphone path delivers, Hz. */
export const MIC_RATE = 16_000
