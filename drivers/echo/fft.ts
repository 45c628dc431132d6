/** Discrete Fourier transform of one size, in place, radix 2 (Cooley and Tukey 1965). */
export class Fft {
  readonly size: number
  readonly #cos: Float64Array
  readonly #sin: Float64Array
  readonly #reversed: Uint32Array

  /** `size` is a power of two. */
  constructor(size: number) {
    if (size < 2 || (size & (size - 1)) !== 0) throw new RangeError(`the size of an FFT is a power of two, not ${size}`)
    this.size = size
    this.#cos = Float64Array.from({ length: size / 2 }, (_, i) => Math.cos((2 * Math.PI * i) / size))
    this.#sin = Float64Array.from({ length: size / 2 }, (_, i) => -Math.sin((2 * Math.PI * i) / size))
    const bits = Math.log2(size)
    this.#reversed = Uint32Array.from({ length: size }, (_, i) => {
      let r = 0
      for (let b = 0; b < bits; b++) r |= ((i >> b) & 1) << (bits - 1 - b)
      return r
    })
  }

  /** Transforms re + i·im; both have `size` values. */
  forward(re: Float64Array, im: Float64Array): void {
    const n = this.size
    for (let i = 0; i < n; i++) {
      const j = this.#reversed[i]!
      if (j <= i) continue
      const r = re[i]!, m = im[i]!
      re[i] = re[j]!; im[i] = im[j]!
      re[j] = r; im[j] = m
    }
    for (let half = 1; half < n; half *= 2) {
      const stride = n / (2 * half)
      for (let start = 0; start < n; start += 2 * half) {
        for (let k = 0; k < half; k++) {
          const c = this.#cos[k * stride]!, s = this.#sin[k * stride]!
          const a = start + k, b = a + half
          const r = re[b]! * c - im[b]! * s, m = re[b]! * s + im[b]! * c
          re[b] = re[a]! - r; im[b] = im[a]! - m
          re[a]! += r; im[a]! += m
        }
      }
    }
  }

  /** The inverse, scaled by 1/size. */
  inverse(re: Float64Array, im: Float64Array): void {
    this.forward(im, re) // swapping real and imaginary parts turns the direction
    for (let i = 0; i < this.size; i++) { re[i]! /= this.size; im[i]! /= this.size }
  }
}
