import { ParleyError } from '../../base/errors.js'
import type { ToolCall } from '../../base/frames.js'
import type { Tool } from '../bundle/schema.js'
import { isSpecial, type Tokenizer } from '../tokenizer/tokenizer.js'
import { beginArgument, type Place } from './call-argument.js'
import { classifyPieces } from './piece-classes.js'
import { CLOSED } from './ring.js'
import type { StepTokens } from './step-spec.js'

/** States that were met, a mask of V floats each: more than a call has, few enough to stay small (500 × 6 KB). */
const MAX_STATES = 500

/** Where the text stands: outside a call, or inside one. `mask` is added to the text logits: 0 for what may come, -1e9 for the rest. */
export interface GrammarState {
  readonly mask: Float32Array
  /** Undefined outside a call. */
  readonly tool: Tool | undefined
}

interface CallState extends GrammarState {
  readonly tool: Tool
  /** The arguments that may be going on here, and where; more than one only where one may end and the next begin. */
  readonly places: readonly { readonly arg: number; readonly place: Place }[]
  readonly following: Map<number, CallState>
}

/**
 * Keeps every tool call well formed: `<call:NAME>`, its arguments in order, `<end>`. Each state's mask is made once, when the
 * state is first met. Inside a call only `<cut>` may stand beside the grammar: it drops the call.
 */
export class CallGrammar {
  readonly outside: GrammarState
  readonly #tokenizer: Tokenizer
  readonly #begin = new Map<number, { tool: Tool; starts: readonly Place[] }>()
  readonly #end: number
  readonly #cut: number
  readonly #cutBias: number
  #states = new Map<string, CallState>()

  /** `cutBias` is the mask of `<cut>`, wherever it may come. */
  constructor(tools: readonly Tool[], tokens: StepTokens, tokenizer: Tokenizer, cutBias = 0) {
    this.#tokenizer = tokenizer
    this.#cutBias = cutBias
    this.#end = need(tokenizer, tokens.end)
    this.#cut = need(tokenizer, tokens.cut)
    const classes = classifyPieces(tokenizer)
    for (const tool of tools) {
      const starts = tool.args.map(arg => beginArgument(arg, tokenizer, classes))
      this.#begin.set(need(tokenizer, tokens.call.replace('*', tool.name)), { tool, starts })
    }
    this.outside = { tool: undefined, mask: this.#outsideMask(tokens) }
  }

  /** The state after `token`. A token that the mask closes cannot come, and leads outside. */
  next(state: GrammarState, token: number): GrammarState {
    if (!state.tool) {
      const call = this.#begin.get(token)
      return call ? this.#state(call.tool, call.tool.args.length ? [{ arg: 0, place: call.starts[0] as Place }] : [], call.starts) : state
    }
    if (token === this.#end || token === this.#cut) return this.outside
    const call = state as CallState
    const known = call.following.get(token)
    if (known) return known
    const starts = this.#startsOf(call.tool)
    const places = call.places.flatMap(({ arg, place }) => {
      const next = place.next(token)
      return next ? [{ arg, place: next }] : []
    })
    if (places.length === 0) return this.outside
    const next = this.#state(call.tool, places, starts)
    call.following.set(token, next)
    return next
  }

  /** The call that `tokens` make: all between `<call:NAME>` and `<end>`. */
  parse(tool: Tool, tokens: readonly number[]): ToolCall | undefined {
    const ends = this.#split(this.#startsOf(tool), tokens, 0, 0)
    if (!ends) return undefined
    const args: Record<string, string | number> = {}
    let from = 0
    tool.args.forEach((arg, i) => {
      const text = this.#tokenizer.decode(tokens.slice(from, ends[i]))
      args[arg.name] = arg.type === 'number' ? Number(text) : text
      from = ends[i] as number
    })
    return { name: tool.name, args }
  }

  #startsOf(tool: Tool): readonly Place[] {
    for (const call of this.#begin.values()) if (call.tool === tool) return call.starts
    return []
  }

  /** Where each argument ends, the longest reading first; undefined if the tokens are no call. */
  #split(starts: readonly Place[], tokens: readonly number[], arg: number, from: number): number[] | undefined {
    const start = starts[arg]
    if (!start) return from === tokens.length ? [] : undefined
    const ends: number[] = []
    for (let place: Place | undefined = start, at = from; at < tokens.length;) {
      place = place.next(tokens[at++] as number)
      if (!place) break
      if (place.done) ends.push(at)
    }
    for (const end of ends.reverse()) {
      const rest = this.#split(starts, tokens, arg + 1, end)
      if (rest) return [end, ...rest]
    }
    return undefined
  }

  /** `places`, and the beginnings of the arguments that may follow them. */
  #state(tool: Tool, places: readonly { arg: number; place: Place }[], starts: readonly Place[]): CallState {
    const all = [...places]
    let mayEnd = tool.args.length === 0
    for (let i = 0; i < all.length; i++) {
      const { arg, place } = all[i] as { arg: number; place: Place }
      if (!place.done) continue
      const start = starts[arg + 1]
      if (!start) mayEnd = true
      else if (!all.some(p => p.place === start)) all.push({ arg: arg + 1, place: start })
    }
    const key = `${tool.name} ${all.map(p => `${p.arg}:${p.place.key}`).join(' ')}`
    const known = this.#states.get(key)
    if (known) return known
    const mask = new Float32Array(this.#tokenizer.size).fill(CLOSED)
    for (let token = 0; token < mask.length; token++) if (all.some(p => p.place.next(token))) mask[token] = 0
    if (mayEnd) mask[this.#end] = 0
    mask[this.#cut] = this.#cutBias
    const state: CallState = { tool, places: all, mask, following: new Map() }
    if (this.#states.size >= MAX_STATES) {
      for (const old of this.#states.values()) old.following.clear() // else they keep one another alive
      this.#states.clear()
    }
    this.#states.set(key, state)
    return state
  }

  /** Outside a call: words, nothing, the ends of a reply, styles, and the calls of the manifest. Not what is only ever read. */
  #outsideMask(tokens: StepTokens): Float32Array {
    const mask = new Float32Array(this.#tokenizer.size)
    const [before = '', after = ''] = tokens.style.split('*')
    const may = new Set([tokens.none, tokens.endOfTurn, tokens.cut])
    this.#tokenizer.pieces.forEach((piece, id) => {
      if (!isSpecial(piece) || may.has(piece) || this.#begin.has(id)) return
      if (piece.startsWith(before) && piece.endsWith(after)) return
      mask[id] = CLOSED
    })
    mask[this.#cut] = this.#cutBias
    return mask
  }
}

function need(tokenizer: Tokenizer, piece: string): number {
  const id = tokenizer.id(piece)
  if (id === undefined) throw new ParleyError('bundle-bad', `the tokenizer has no piece ${piece}, which the manifest names`)
  return id
}
