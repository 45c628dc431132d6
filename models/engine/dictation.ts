import type { Tokenizer } from '../tokenizer/tokenizer.js'
import { CLOSED } from './ring.js'
import type { StepTokens } from './step-spec.js'

/** So many ticks may the model wait before the next piece, so that it keeps its own pace; then the piece comes (0.8 s: a long word). */
const MOST_WAITING_TICKS = 10
/** A minute at one piece a tick. */
const MAX_PIECES = 750

/**
 * Words that the model must say as they are: between replies, all of its text but the next piece is closed. It speaks them with its own
 * voice and at its own pace, and a person can still interrupt (`cut` stays open).
 */
export class Dictation {
  readonly #tokenizer: Tokenizer
  readonly #end: number
  readonly #cut: number
  readonly #cutBias: number
  readonly #mask: Float32Array
  #pieces: number[] = []
  #begun = false
  #waited = 0

  /** `cutBias` is added to the logit of `<cut>` (StepSpec.bias). */
  constructor(tokenizer: Tokenizer, tokens: StepTokens, cutBias = 0) {
    this.#tokenizer = tokenizer
    this.#cutBias = cutBias
    this.#end = tokenizer.id(tokens.endOfTurn) ?? 0
    this.#cut = tokenizer.id(tokens.cut) ?? 0
    this.#mask = new Float32Array(tokenizer.size)
  }

  add(text: string): void {
    const pieces = this.#tokenizer.encode(text)
    if (pieces.length && this.#pieces.length + pieces.length < MAX_PIECES) this.#pieces.push(...pieces, this.#end)
  }

  /** The mask of the next step, or undefined where the model may say what it likes. `open`: a reply of its own is not over yet. */
  mask(open: boolean): Float32Array | undefined {
    const next = this.#pieces[0]
    if (next === undefined || (open && !this.#begun)) return undefined
    this.#mask.fill(CLOSED)
    this.#mask[next] = 0
    // Beside waiting, because only against that does the model weigh whether somebody speaks over it.
    if (this.#begun && this.#waited < MOST_WAITING_TICKS) {
      this.#mask[0] = 0
      this.#mask[this.#cut] = this.#cutBias
    }
    return this.#mask
  }

  /** What the model gave under that mask. */
  took(token: number): void {
    if (token === this.#pieces[0]) {
      this.#pieces.shift()
      this.#waited = 0
      this.#begun = token !== this.#end
    } else if (token === this.#cut) {
      this.clear() // nobody wants to hear the rest
    } else {
      this.#waited++
    }
  }

  clear(): void {
    this.#pieces = []
    this.#begun = false
    this.#waited = 0
  }
}
