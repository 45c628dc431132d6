/** How a voice sounds, over the parts in which it speaks. */
export interface VoiceMeasure {
  /** Median of the voiced frames, Hz; undefined when none is voiced. */
  readonly pitch: number | undefined
  /** Share of the frames with sound that are voiced, 0 to 1. */
  readonly voiced: number
  /** Root mean square of the frames with sound, dB below full scale. */
  readonly level: number
}

/** 20 ms. */
const FRAME_S = 0.02
/** A voice's range, Hz. */
const [LOWEST, HIGHEST] = [60, 500]
/** Correlation of a frame with itself a period later; speech is above, breath far below. */
const VOICED = 0.6
/** Frames 30 dB below the loudest are pauses. */
const PAUSE = 10 ** (-30 / 10)

/** Measures by normalised correlation a period later. Undefined when there is no sound. */
export function measureVoice(samples: Float32Array, rate: number): VoiceMeasure | undefined {
  const size = Math.round(rate * FRAME_S)
  const longest = Math.round(rate / LOWEST)
  const powers: number[] = []
  for (let at = 0; at + size + longest <= samples.length; at += size) powers.push(energy(samples, at, size) / size)
  const loudest = Math.max(0, ...powers)
  if (loudest === 0) return undefined
  const spoken = powers.flatMap((power, i) => (power > loudest * PAUSE ? [i] : []))
  const pitches = spoken.flatMap(i => pitchAt(samples, i * size, size, rate) ?? []).sort((a, b) => a - b)
  const mean = spoken.reduce((sum, i) => sum + (powers[i] as number), 0) / spoken.length
  return { pitch: pitches[pitches.length >> 1], voiced: pitches.length / spoken.length, level: 10 * Math.log10(mean) }
}

/** Of one frame, Hz; undefined when it is not voiced. The shortest period that is nearly the best: a longer one is an octave too low. */
function pitchAt(samples: Float32Array, at: number, size: number, rate: number): number | undefined {
  const shortest = Math.round(rate / HIGHEST)
  const longest = Math.round(rate / LOWEST)
  const own = energy(samples, at, size)
  const match: number[] = []
  for (let lag = shortest; lag <= longest; lag++) {
    let sum = 0
    for (let i = 0; i < size; i++) sum += (samples[at + i] as number) * (samples[at + lag + i] as number)
    match.push(sum / (Math.sqrt(own * energy(samples, at + lag, size)) + 1e-9))
  }
  const best = Math.max(...match)
  if (best < VOICED) return undefined
  const near = match.findIndex((m, i) => m > 0.93 * best && m >= (match[i - 1] ?? -1) && m >= (match[i + 1] ?? -1))
  return rate / (shortest + (near < 0 ? match.indexOf(best) : near))
}

function energy(samples: Float32Array, at: number, size: number): number {
  let sum = 0
  for (let i = at; i < at + size; i++) sum += (samples[i] as number) ** 2
  return sum
}
