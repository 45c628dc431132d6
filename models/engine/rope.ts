/** Rotary angles, theta_i = base^(-2i/E). In double precision, so that the position of an hour-old session is exact. */
export class Rope {
  readonly #theta: Float64Array

  constructor(headSize: number, base: number) {
    this.#theta = Float64Array.from({ length: headSize / 2 }, (_, i) => base ** ((-2 * i) / headSize))
  }

  /** Writes cos, then sin, of `position` into `out` [2, E/2]. 64 calls of Math.cos a tick are under 5 µs: no recurrence is needed, none can drift. */
  write(out: Float32Array, position: number): void {
    const half = this.#theta.length
    for (let i = 0; i < half; i++) {
      const angle = position * (this.#theta[i] as number)
      out[i] = Math.cos(angle)
      out[half + i] = Math.sin(angle)
    }
  }
}
