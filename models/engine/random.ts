/** sfc32 (Chris Doty-Humphrey, PractRand): small, fast and good enough for sampling; seeded, so that a run can be repeated. */
export class Random {
  #a = 0
  #b = 0
  #c = 0
  #d = 0

  constructor(seed: number) {
    this.seed(seed)
  }

  seed(seed: number): void {
    this.#a = 0
    this.#b = seed | 0
    this.#c = Math.floor(seed / 2 ** 32) | 0
    this.#d = 1
    for (let i = 0; i < 15; i++) this.next() // the first numbers still look like the seed
  }

  /** In [0, 1). */
  next(): number {
    const t = (((this.#a + this.#b) | 0) + this.#d) | 0
    this.#d = (this.#d + 1) | 0
    this.#a = this.#b ^ (this.#b >>> 9)
    this.#b = (this.#c + (this.#c << 3)) | 0
    this.#c = ((this.#c << 21) | (this.#c >>> 11)) + t | 0
    return (t >>> 0) / 2 ** 32
  }
}

/**
 * Gumbel noise times temperature: argmax(logits + noise) draws from softmax(logits / temperature).
 * `out` is [temperature.length, codes] in one row.
 */
export function fillGumbel(out: Float32Array, temperature: readonly number[], random: Random): void {
  const codes = out.length / temperature.length
  for (let k = 0; k < temperature.length; k++) {
    const t = temperature[k] as number
    if (t === 0) continue // its row is zeros from the start: greedy
    for (let i = k * codes; i < (k + 1) * codes; i++) out[i] = -t * Math.log(-Math.log(random.next() + 1e-12) + 1e-12)
  }
}
