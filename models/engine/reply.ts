import type { ToolCall } from '../../base/frames.js'
import type { Tool } from '../bundle/schema.js'
import type { Tokenizer } from '../tokenizer/tokenizer.js'
import { CallGrammar, type GrammarState } from './call-grammar.js'
import type { StepSpec } from './step-spec.js'

/** A reply that lost its end is over after 2 s in which nothing was said or written: else the conversation would hang on it. */
const LOST_END_TICKS = 25

/** What one text token and the sound beside it mean. */
export interface Meaning {
  text: string
  call: ToolCall | undefined
  style: string | undefined
  mark: 'begin' | 'end' | 'cut' | undefined
}

/** Follows the model's text: replies, styles, calls. `grammar` is where the mask of the next step comes from. */
export class Reply {
  readonly #tokenizer: Tokenizer
  readonly #grammar: CallGrammar
  readonly #end: number
  readonly #cut: number
  /** Between replies: what it may say, and how sure it must be to begin. */
  readonly #between: Float32Array
  readonly #styles = new Map<number, string>()
  #state: GrammarState
  #call: { tool: Tool; tokens: number[] } | undefined
  #open = false
  /** Sound that goes on past the end of a reply is its tail, not a new reply. */
  #tail = false
  #idleTicks = 0

  constructor(spec: StepSpec, tokenizer: Tokenizer) {
    this.#tokenizer = tokenizer
    this.#grammar = new CallGrammar(spec.tools, spec.tokens, tokenizer, spec.bias.cut)
    this.#state = this.#grammar.outside
    this.#end = tokenizer.id(spec.tokens.endOfTurn) ?? -1
    this.#cut = tokenizer.id(spec.tokens.cut) ?? -1
    const { begin, cut } = spec.bias
    // A cut says nothing here: it is not weighed as it is in a reply.
    this.#between = this.#state.mask.map((value, token) => token === 0 ? value : value + begin - (token === this.#cut ? cut : 0))
    const [before = '', after = ''] = spec.tokens.style.split('*')
    tokenizer.pieces.forEach((piece, id) => {
      if (tokenizer.isSpecial(id) && piece.startsWith(before) && piece.endsWith(after)) this.#styles.set(id, piece.slice(before.length, piece.length - after.length))
    })
  }

  /** Added to the text logits of the next step. The same array for the same state. */
  get mask(): Float32Array {
    return this.#state.tool || this.#open ? this.#state.mask : this.#between
  }

  /** Between its beginning and its end, or with sound still to come. */
  get open(): boolean {
    return this.#open || this.#tail
  }

  reset(): void {
    this.#state = this.#grammar.outside
    this.#call = undefined
    this.#open = false
    this.#tail = false
    this.#idleTicks = 0
  }

  take(token: number, speaking: boolean): Meaning {
    const meaning: Meaning = { text: '', call: undefined, style: undefined, mark: undefined }
    const wasInside = this.#state.tool
    this.#state = this.#grammar.next(this.#state, token)
    if (token === this.#cut) this.#call = undefined
    else if (wasInside && !this.#state.tool) meaning.call = this.#finishCall()
    else if (wasInside) this.#call?.tokens.push(token)
    else if (this.#state.tool) this.#call = { tool: this.#state.tool, tokens: [] }
    else {
      meaning.text = this.#tokenizer.textOf(token)
      meaning.style = this.#styles.get(token)
    }
    meaning.mark = this.#markOf(token, speaking)
    return meaning
  }

  #markOf(token: number, speaking: boolean): Meaning['mark'] {
    const closes = token === this.#end ? 'end' : token === this.#cut ? 'cut' : undefined
    if (!this.#open) {
      this.#tail &&= speaking
      if (closes || (token === 0 && (!speaking || this.#tail))) return undefined
      this.#open = true
      this.#idleTicks = 0
      return 'begin'
    }
    this.#idleTicks = token === 0 && !speaking ? this.#idleTicks + 1 : 0
    if (!closes && this.#idleTicks < LOST_END_TICKS) return undefined
    this.#open = false
    this.#tail = speaking
    return closes ?? 'end'
  }

  #finishCall(): ToolCall | undefined {
    const call = this.#call
    this.#call = undefined
    return call && this.#grammar.parse(call.tool, call.tokens)
  }
}
