import { ParleyError } from '../../base/errors.js'
import type { Backend, Feeds, GraphSession, Provider } from '../ladder/backend.js'
import { climb, type Refusal } from '../ladder/ladder.js'
import { createProven } from '../ladder/placement.js'
import type { Said, Tick } from '../session.js'
import { Tokenizer } from '../tokenizer/tokenizer.js'
import { FactCache } from './fact-cache.js'
import { Dictation } from './dictation.js'
import { Random, fillGumbel } from './random.js'
import { Reply } from './reply.js'
import { Rope } from './rope.js'
import type { StepSpec } from './step-spec.js'
import { StepTensors } from './step-tensors.js'
import { TextChannel, type Telling } from './text-channel.js'

/** Fact steps after which others get a word in: 8 of a few ms are well inside every time limit. */
const FACTS_A_BREATH = 8

export interface TickHostHooks {
  /** Before a rung of the ladder is tried. */
  readonly trying?: (provider: Provider) => void
}

/**
 * Runs the step graph of models/README.md, one run a tick: it owns the context ring, the states, the grammar and the noise.
 * Not for two calls at a time: whoever drives it (child or in-process session) puts them in order.
 */
export class TickHost {
  readonly spec: StepSpec
  readonly provider: Provider
  readonly precision: string
  readonly refusals: readonly Refusal[]
  readonly channel: TextChannel
  readonly #graph: GraphSession
  readonly #tokenizer: Tokenizer
  readonly #tensors: StepTensors
  readonly #rope: Rope
  readonly #random: Random
  readonly #reply: Reply
  readonly #dictation: Dictation
  readonly #factToken: number
  readonly #factCache: FactCache | undefined
  /** Facts that are being written to disk. */
  #keeping: Promise<void> = Promise.resolve()
  #facts: readonly number[] = []

  private constructor(spec: StepSpec, tokenizer: Tokenizer, tensors: StepTensors, graph: GraphSession, provider: Provider, refusals: readonly Refusal[]) {
    this.spec = spec
    this.provider = provider
    this.precision = spec.rungs.find(r => r.provider === provider)?.precision ?? ''
    this.refusals = refusals
    this.channel = new TextChannel(tokenizer, spec.tokens)
    this.#graph = graph
    this.#tokenizer = tokenizer
    this.#tensors = tensors
    this.#rope = new Rope(spec.headSize, spec.ropeTheta)
    this.#random = new Random(spec.seed)
    this.#reply = new Reply(spec, tokenizer)
    this.#dictation = new Dictation(tokenizer, spec.tokens, spec.bias.cut)
    this.#factToken = tokenizer.id(spec.tokens.fact) ?? 0
    const rung = spec.rungs.find(r => r.provider === provider)
    if (spec.factFolder && rung) this.#factCache = new FactCache(spec.factFolder, { graph: rung.sha256, provider, floatsPerToken: tensors.ring.floatsPerToken })
    this.#rewind()
  }

  /** Loads the graph on the first provider that can run it. */
  static async open(spec: StepSpec, backend: Backend, hooks: TickHostHooks = {}): Promise<TickHost> {
    const tokenizer = await Tokenizer.load(spec.tokenizer)
    if (tokenizer.size !== spec.vocabulary) throw new ParleyError('bundle-bad', `${spec.tokenizer} has ${tokenizer.size} pieces, and bundle.json says tokenizer.size ${spec.vocabulary}`)
    const tensors = new StepTensors(spec)
    tensors.setTextMask(new Float32Array(spec.vocabulary))
    const climbed = await climb(spec.rungs, async rung => {
      backend.need(rung.provider)
      if (rung.provider === 'tensorrt' && !rung.engine) throw new ParleyError('engine-missing', 'no engine is built yet for this graph, and TensorRT would build one at each start, for minutes', { hint: 'sudo parley engines build' })
      // On a GPU it is proven where that run was, at each start: a driver that was changed may leave all of it to the CPU.
      if (rung.provider !== 'cpu') return createProven(rung.file, rung.provider, backend, async graph => { tensors.check(graph, spec); await graph.run(tensors.feeds) })
      const graph = await backend.create(rung.file, rung.provider, spec.graphFolder === undefined ? {} : { keep: { folder: spec.graphFolder, sha256: rung.sha256 } })
      try {
        tensors.check(graph, spec)
        await graph.run(tensors.feeds) // a provider may load a graph and still not run it
        return graph
      } catch (error) {
        await graph.release()
        throw error
      }
    }, rung => hooks.trying?.(rung.provider))
    return new TickHost(spec, tokenizer, tensors, climbed.value, climbed.provider, climbed.refusals)
  }

  async step(tick: Tick): Promise<Said> {
    const started = performance.now()
    const { spec } = this
    const tensors = this.#tensors
    if (tick.audio.length !== spec.tickSamples) throw new ParleyError('tick-size', `a tick has ${spec.tickSamples} samples, not ${tick.audio.length}`)
    tensors.audio.set(tick.audio)
    const read = this.channel.take()
    tensors.setId('text_in', read)
    const dictated = this.#dictation.mask(this.#reply.open)
    tensors.setTextMask(dictated ?? this.#reply.mask)
    this.#rope.write(tensors.ropeStream, tensors.ring.ticks)
    fillGumbel(tensors.noise, spec.temperature, this.#random)

    const out = await this.#graph.run(tensors.feeds)
    const text = intOf(out, 'text', 0)
    const heard = intOf(out, 'heard', 0)
    if (dictated) this.#dictation.took(text)
    const speaking = intOf(out, 'codes', 0) !== spec.silentCode
    const idle = read === 0 && text === 0 && heard === 0 && !speaking
    tensors.ring.writeTick(floatsOf(out, tensors.keysOutput), floatsOf(out, tensors.valuesOutput), idle)
    tensors.feedBack(out, speaking)
    tensors.setId('text_prev', text)
    tensors.setId('heard_prev', heard)
    tensors.setCode(0, speaking ? intOf(out, 'codes', 0) : spec.silentCode)
    for (let k = 1; k < spec.codebooks; k++) tensors.setCode(k, speaking ? intOf(out, 'codes', k) : 0)

    const { text: words, call, style, mark } = this.#reply.take(text, speaking)
    return {
      at: tick.at,
      text: words,
      heard: this.#tokenizer.textOf(heard),
      speech: speaking ? floatsOf(out, 'speech') : undefined,
      ...(call && { call }),
      ...(style && { style }),
      ...(mark && { mark }),
      stepMs: performance.now() - started,
    }
  }

  /**
   * Reads facts, `key: value` lines. Whole facts at the front that it knows already are kept as they are. `passing` are read
   * behind them, and are not kept for the next start. `breathe` is awaited now and then.
   */
  async setFacts(lines: readonly string[], passing: readonly string[] = [], breathe: () => Promise<void> | void = () => {}): Promise<void> {
    const lasting = lines.flatMap(line => this.#factTokens(line))
    const ids = [...lasting, ...passing.flatMap(line => this.#factTokens(line))]
    const { factSlots } = this.spec
    if (ids.length > factSlots) throw new ParleyError('facts-too-long', `the facts have ${ids.length} tokens, and this model holds ${factSlots}`, { hint: 'Shorten or remove some.' })
    const tensors = this.#tensors
    let kept = 0
    while (kept < ids.length && kept < this.#facts.length && ids[kept] === this.#facts[kept]) kept++
    // what is carried from token to token is zero only where a fact begins: a fact that changes is read from there
    while (kept > 0 && kept < ids.length && ids[kept] !== this.#factToken) kept--
    tensors.ring.keepFacts(kept)
    this.#facts = ids.slice(0, kept)
    if (kept < lasting.length) {
      const known = await this.#factCache?.find(lasting)
      if (known) this.#restoreFacts(lasting, kept, known)
      else {
        await this.#readFacts(lasting, kept, breathe)
        // in the background: nobody waits for a disk
        if (this.#factCache) this.#keeping = this.#factCache.keep(lasting, tensors.ring.copyFacts(0, lasting.length))
      }
    }
    if (this.#facts.length < ids.length) await this.#readFacts(ids, this.#facts.length, breathe)
    this.#rope.write(tensors.ropeFacts, tensors.ring.facts) // whatever the time, the facts are as near as if just read
  }

  #restoreFacts(ids: readonly number[], kept: number, known: Float32Array): void {
    const { ring } = this.#tensors
    const half = ring.floatsPerToken / 2
    for (let i = kept; i < ids.length; i++) {
      const at = 2 * half * i
      ring.writeFact(known.subarray(at, at + half), known.subarray(at + half, at + 2 * half))
    }
    this.#facts = ids
  }

  async #readFacts(ids: readonly number[], kept: number, breathe: () => Promise<void> | void): Promise<void> {
    const tensors = this.#tensors
    tensors.setLive(false)
    try {
      for (let i = kept; i < ids.length; i++) {
        if (ids[i] === this.#factToken) tensors.beginFact()
        tensors.setId('text_in', ids[i] as number)
        this.#rope.write(tensors.ropeStream, i)
        this.#rope.write(tensors.ropeFacts, i)
        const out = await this.#graph.run(tensors.feeds)
        tensors.ring.writeFact(floatsOf(out, tensors.keysOutput), floatsOf(out, tensors.valuesOutput))
        tensors.feedBackFact(out)
        this.#facts = ids.slice(0, i + 1)
        if (i % FACTS_A_BREATH === FACTS_A_BREATH - 1) await breathe()
      }
    } finally {
      tensors.setLive(true)
      this.#rope.write(tensors.ropeFacts, tensors.ring.facts) // also of those read before an error
    }
  }

  tell(line: string, kind: Telling): void {
    if (kind === 'say') this.#dictation.add(line)
    else this.channel.tell(line, kind)
  }

  /** Forgets the talk; keeps the facts. */
  reset(): void {
    this.channel.clear()
    this.#dictation.clear()
    this.#rewind()
  }

  async close(): Promise<void> {
    await this.#keeping
    await this.#graph.release()
  }

  #rewind(): void {
    const tensors = this.#tensors
    tensors.ring.resetStream()
    tensors.resetStates()
    tensors.setId('text_prev', 0)
    tensors.setId('heard_prev', 0)
    for (let k = 0; k < this.spec.codebooks; k++) tensors.setCode(k, k === 0 ? this.spec.silentCode : 0)
    this.#rope.write(tensors.ropeFacts, tensors.ring.facts)
    this.#random.seed(this.spec.seed)
    this.#reply.reset()
  }

  #factTokens(line: string): number[] {
    const colon = line.indexOf(':')
    if (colon < 1) throw new ParleyError('facts-bad', 'a fact is a line such as `restroom: left of the entrance`', { hint: 'One line has no colon.' })
    const { tokens } = this.spec
    return [this.#factToken, ...this.#tokenizer.encode(line.slice(0, colon)), this.#tokenizer.id(tokens.factSeparator) ?? 0, ...this.#tokenizer.encode(line.slice(colon + 1))]
  }
}

function floatsOf(out: Feeds, name: string): Float32Array {
  return out[name]?.data as Float32Array
}

function intOf(out: Feeds, name: string, at: number): number {
  return Number((out[name]?.data as BigInt64Array)[at])
}
