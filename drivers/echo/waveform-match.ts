import { MIC_RATE } from '../../base/frames.js'
import type { PlaybackReference } from './reference.js'

export interface Match {
  /** The share of the microphone's energy that our own sound explains, as a waveform at its best loudness: 0 to 1. */
  readonly share: number
  readonly delayMs: number
  /** How much louder (dB) the microphone then hears our sound than it was sent. */
  readonly gainDb: number
}

/**
 * Compares the newest `windowMs` of the microphone (16 kHz, ending at monotonic ms `endAt`) with our own sound at every delay
 * of a range: the greatest squared normalised cross-correlation. `decimate` trades resolution for time.
 */
export function matchWaveform(microphone: Float32Array, endAt: number, reference: PlaybackReference, range: { readonly fromMs: number; readonly toMs: number; readonly windowMs: number; readonly decimate: number }): Match {
  const { fromMs, toMs, windowMs, decimate } = range
  const perMs = MIC_RATE / 1000
  const heard = average(microphone.subarray(microphone.length - windowMs * perMs), decimate)
  const own = average(reference.read(endAt - windowMs - toMs, Math.round((windowMs + toMs - fromMs) * perMs)), decimate)
  const energy = power(heard, 0, heard.length)
  let sliding = power(own, 0, heard.length)
  let best: Match = { share: 0, delayMs: toMs, gainDb: -Infinity }
  for (let lag = 0; lag + heard.length <= own.length; lag++) {
    let dot = 0
    for (let i = 0; i < heard.length; i++) dot += heard[i]! * own[lag + i]!
    const share = (dot * dot) / ((sliding + 1e-9) * (energy + 1e-9))
    if (share > best.share) best = { share, delayMs: toMs - (lag * decimate) / perMs, gainDb: 20 * Math.log10(Math.abs(dot) / (sliding + 1e-9)) }
    sliding += (own[lag + heard.length] ?? 0) ** 2 - own[lag]! ** 2
  }
  return best
}

function average(samples: Float32Array, decimate: number): Float32Array {
  if (decimate === 1) return samples
  return Float32Array.from({ length: Math.floor(samples.length / decimate) }, (_, i) => {
    let sum = 0
    for (let k = 0; k < decimate; k++) sum += samples[i * decimate + k]!
    return sum / decimate
  })
}

function power(samples: Float32Array, from: number, to: number): number {
  let sum = 0
  for (let i = from; i < to; i++) sum += samples[i]! ** 2
  return sum
}
