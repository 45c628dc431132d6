import { z } from 'zod'

/** What every camera's section holds besides its own keys. */
export const cameraSettings = {
  name: z.string().min(1).default('camera'),
  /** Size of the frames that are delivered, pixels; the source's own size does not matter. */
  width: z.number().int().min(8).max(1_920).default(160),
  height: z.number().int().min(8).max(1_080).default(120),
  /** Frames a second that are delivered, at most. From 1, so that silence of 1.5 s always means a stall. */
  fps: z.number().min(1).max(60).default(5),
  /** From the start of the source to its first frame, ms: an HTTP or GStreamer source has much to negotiate. */
  openTimeoutMs: z.number().int().min(100).max(60_000).default(8_000),
}

export interface CameraSettings {
  readonly name: string
  readonly width: number
  readonly height: number
  readonly fps: number
  readonly openTimeoutMs: number
}

/** Anything that is passed to a program as its input must not look like one of its options. */
export const notAnOption = z.string().regex(/^[^-\0][^\0]*$/, 'a path or an address that does not begin with -')
