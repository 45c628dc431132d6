/** Zero crossings of the sinc on each side: with β below, the image of a tone is > 85 dB down outside the transition band. */
const CROSSINGS = 32
/** Kaiser's β for ~90 dB: 0.1102 (A − 8.7), A = 90 (Kaiser 1974). */
const BETA = 8.96
/** The middle of the transition band, as a part of the lower Nyquist frequency: flat to ~82 %, closed at 100 %. */
const CUTOFF = 0.91
/** Ratios with more phases than this read between two neighbours of a table this fine. */
const MAX_PHASES = 1_024

/**
 * Changes the sample rate of a mono stream by any ratio, with a windowed sinc (Smith, "Digital Audio Resampling").
 * Output sample n stands at the input's time n / to: nothing is shifted. It can only be given once
 * `delay` seconds more of input are there (32 zero crossings: 2 ms at 16 kHz).
 */
export class Resampler {
  readonly from: number
  readonly to: number
  /** Seconds of input that must be in before an output sample can be given. */
  readonly delay: number
  readonly #half: number
  readonly #phases: number
  readonly #table: Float64Array
  /** Output n stands at input (n * #step) / #scale. */
  readonly #step: number
  readonly #scale: number
  #history: Float32Array
  /** The input index of history[0]. */
  #first: number
  #given = 0
  #taken = 0

  constructor(from: number, to: number) {
    for (const rate of [from, to]) if (!Number.isInteger(rate) || rate < 1) throw new RangeError(`a sample rate is a whole number of Hz, not ${rate}`)
    this.from = from
    this.to = to
    const common = gcd(from, to)
    this.#step = from / common
    this.#scale = to / common
    this.#half = Math.ceil((CROSSINGS * Math.max(1, from / to)) / CUTOFF)
    this.delay = this.#half / from
    this.#phases = Math.min(this.#scale, MAX_PHASES)
    this.#table = from === to ? new Float64Array(0) : kernel(this.#half, this.#phases, Math.min(1, to / from) * CUTOFF)
    this.#history = new Float32Array(this.#half - 1) // the silence before the first sample
    this.#first = -(this.#half - 1)
  }

  /** Takes the next input, gives what can be given; may be empty. */
  process(input: Float32Array): Float32Array {
    this.#taken += input.length
    if (this.from === this.to) return input.slice()
    const all = new Float32Array(this.#history.length + input.length)
    all.set(this.#history)
    all.set(input, this.#history.length)
    const out = this.#produce(all)
    const keepFrom = Math.max(0, Math.min(all.length, this.#position() - this.#half + 1 - this.#first))
    this.#history = all.slice(keepFrom)
    this.#first += keepFrom
    return out
  }

  /** The rest, as if silence followed; afterwards in total ceil(input · to / from) samples were given. Then starts anew. */
  flush(): Float32Array {
    const wanted = Math.ceil((this.#taken * this.#scale) / this.#step) - this.#given
    const rest = this.from === this.to ? new Float32Array(0) : this.process(new Float32Array(this.#half + 1)).slice(0, wanted)
    this.#history = new Float32Array(this.#half - 1)
    this.#first = -(this.#half - 1)
    this.#given = this.#taken = 0
    return rest
  }

  #position(): number {
    return Math.floor((this.#given * this.#step) / this.#scale)
  }

  #produce(all: Float32Array): Float32Array {
    const end = this.#first + all.length // one past the newest input
    const limit = Math.max(0, Math.ceil(((end - this.#half) * this.#scale) / this.#step) - this.#given)
    const out = new Float32Array(limit)
    const width = 2 * this.#half
    for (let n = 0; n < limit; n++, this.#given++) {
      const numerator = this.#given * this.#step
      const index = Math.floor(numerator / this.#scale)
      const phase = ((numerator - index * this.#scale) / this.#scale) * this.#phases
      const low = Math.floor(phase)
      const part = phase - low
      const start = index - this.#half + 1 - this.#first
      const row = low * width
      let sum = 0
      for (let k = 0; k < width; k++) {
        const tap = this.#table[row + k]!
        sum += all[start + k]! * (part === 0 ? tap : tap + part * (this.#table[row + width + k]! - tap))
      }
      out[n] = sum
    }
    return out
  }
}

/** A whole sound at once. */
export function resample(samples: Float32Array, from: number, to: number): Float32Array {
  const resampler = new Resampler(from, to)
  const head = resampler.process(samples)
  const tail = resampler.flush()
  const all = new Float32Array(head.length + tail.length)
  all.set(head)
  all.set(tail, head.length)
  return all
}

/** One row of 2·half taps a phase (and one more, to read between the last and the next): row p is for a place p/phases past a sample. */
function kernel(half: number, phases: number, cutoff: number): Float64Array {
  const width = 2 * half
  const table = new Float64Array((phases + 1) * width)
  for (let p = 0; p <= phases; p++) {
    let sum = 0
    for (let k = 0; k < width; k++) {
      const x = k - half + 1 - p / phases
      const edge = 1 - (x / half) ** 2
      const tap = edge <= 0 ? 0 : cutoff * sinc(cutoff * x) * bessel0(BETA * Math.sqrt(edge)) / bessel0(BETA)
      table[p * width + k] = tap
      sum += tap
    }
    for (let k = 0; k < width; k++) table[p * width + k]! /= sum // the same loudness at every phase
  }
  return table
}

function sinc(x: number): number {
  return x === 0 ? 1 : Math.sin(Math.PI * x) / (Math.PI * x)
}

/** The modified Bessel function I0, by its power series. */
function bessel0(x: number): number {
  let sum = 1
  let term = 1
  for (let k = 1; term > sum * 1e-12; k++) {
    term *= (x / (2 * k)) ** 2
    sum += term
  }
  return sum
}

function gcd(a: number, b: number): number {
  return b === 0 ? a : gcd(b, a % b)
}
