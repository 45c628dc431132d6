import { MIC_RATE } from '../../base/frames.js'
import { Fft } from './fft.js'

/** 32 ms at 16 kHz: one frame and a little before it. */
export const WINDOW = 512
/** Band edges, Hz: about a Bark each where speech has its energy (Zwicker 1961), wider above. */
const EDGES = [100, 200, 300, 400, 510, 630, 770, 920, 1080, 1270, 1480, 1720, 2000, 2320, 2700, 3150, 3700, 4400, 5300, 6400, 7700]
export const BANDS = EDGES.length - 1

const fft = new Fft(WINDOW)
const hann = Float64Array.from({ length: WINDOW }, (_, i) => 0.5 - 0.5 * Math.cos((2 * Math.PI * i) / WINDOW))
const bins = EDGES.map(hz => Math.round((hz * WINDOW) / MIC_RATE))
const re = new Float64Array(WINDOW)
const im = new Float64Array(WINDOW)

/** The energy in each band, dB (0 dB: about full scale), of 512 samples at 16 kHz. */
export function bandLevels(samples: Float32Array): Float64Array {
  for (let i = 0; i < WINDOW; i++) re[i] = (samples[i] ?? 0) * hann[i]!
  im.fill(0)
  fft.forward(re, im)
  const levels = new Float64Array(BANDS)
  for (let b = 0; b < BANDS; b++) {
    let sum = 1e-6 // −108 dB: the floor under everything
    for (let i = bins[b]!; i < bins[b + 1]!; i++) sum += re[i]! ** 2 + im[i]! ** 2
    levels[b] = 10 * Math.log10(sum / (WINDOW / 4) ** 2)
  }
  return levels
}
