/** What the runtime and the child that owns the sound card say to each other, over Node's IPC with `advanced` serialization. */

export interface ChildConfig {
  /** Hz */
  readonly rate: number
  readonly channels: 1 | 2
  /** ALSA's name; undefined is the default device. */
  readonly device?: string
}

export type ToChild =
  /** 16-bit PCM of one chunk, all channels. */
  | { readonly type: 'play'; readonly id: number; readonly pcm: Uint8Array }
  | { readonly type: 'flush'; readonly id: number }

export type FromChild =
  /** The device is open. */
  | { readonly type: 'ready' }
  /** The device has this chunk. */
  | { readonly type: 'taken'; readonly id: number }
  /** All that came before this flush is silent. */
  | { readonly type: 'silent'; readonly id: number }
  | { readonly type: 'failed'; readonly why: string }

/** The package aborts Node for numbers of the wrong type (CVE-2024-21526): checked on both sides. */
export function checkConfig(config: ChildConfig): void {
  const { rate, channels, device } = config
  if (!Number.isInteger(rate) || rate < 8_000 || rate > 192_000) throw new RangeError(`a speaker's rate is a whole number of Hz from 8000 to 192000, not ${String(rate)}`)
  if (channels !== 1 && channels !== 2) throw new RangeError(`a speaker has 1 or 2 channels, not ${String(channels)}`)
  if (device !== undefined && (typeof device !== 'string' || device.length > 200)) throw new RangeError('a speaker\'s device is a name')
}
