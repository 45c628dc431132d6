/** What parent and child say to each other, by Node's IPC with `serialization: 'advanced'` (bytes stay bytes). */

/** The first and only message to the child besides credits. */
export interface Order {
  readonly type: 'open'
  readonly binding: string
  readonly source: number | string
  readonly loop: boolean
  readonly width: number
  readonly height: number
  readonly fps: number
  readonly faces?: { readonly cascade: string; readonly everyMs: number; readonly minFace: number }
}

/** One more frame may be sent; a child without credit drops frames, so that nothing piles up in the pipe. */
export interface Credit {
  readonly type: 'credit'
}

export type ToChild = Order | Credit

/** `hr` is CLOCK_MONOTONIC in ms at capture: the same in all processes of a machine, unlike `performance.now()`. */
export type FromChild =
  | { readonly type: 'frame'; readonly hr: number; readonly rgb: Uint8Array; readonly costMs: number }
  | { readonly type: 'faces'; readonly hr: number; readonly count: number; readonly costMs: number }
  | { readonly type: 'alive' }
  | { readonly type: 'dropped' }
  | { readonly type: 'ended' }
  | { readonly type: 'failed'; readonly message: string }

/** Frames on their way, at most. */
export const CREDITS = 2

export const monotonicMs = (): number => Number(process.hrtime.bigint()) / 1e6
