import { MIC_RATE } from '../../base/frames.js'

/** Noise with speech's slope (6 dB an octave over 500 Hz) and rhythm (4 syllables a second): cancellers are made for speech. 16 kHz. */
export function probe(seconds: number): Float32Array {
  const samples = new Float32Array(seconds * MIC_RATE)
  let seed = 1
  let low = 0
  for (let i = 0; i < samples.length; i++) {
    seed = (Math.imul(seed, 1664525) + 1013904223) >>> 0
    low += 0.18 * (seed / 2 ** 31 - 1 - low)
    samples[i] = 1.2 * low * Math.max(0.05, Math.sin((2 * Math.PI * 2 * i) / MIC_RATE) ** 2)
  }
  return samples
}

/** Mean square of samples in [-1, 1]. */
export function power(samples: Float32Array): number {
  let sum = 0
  for (const s of samples) sum += s * s
  return sum / Math.max(1, samples.length)
}

/** dB of a power; -120 for none. */
export const toDb = (of: number): number => 10 * Math.log10(of + 1e-12)
