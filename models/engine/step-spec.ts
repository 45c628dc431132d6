import { ParleyError } from '../../base/errors.js'
import type { Bundle } from '../bundle/load.js'
import type { StateSpec, Tool } from '../bundle/schema.js'
import { PROVIDERS, type Provider } from '../ladder/backend.js'

/** All that a TickHost needs of a bundle, checked, small, and plain JSON: it is sent to the child, which then needs no schema. */
export interface StepSpec {
  readonly name: string
  /** `engine`: the file is the wrapper of a ready engine. */
  readonly rungs: readonly { readonly provider: Provider; readonly file: string; readonly precision: string; readonly sha256: string; readonly engine: boolean }[]
  readonly tokenizer: string
  readonly vocabulary: number
  readonly codebooks: number
  readonly codes: number
  readonly silentCode: number
  readonly inputRate: number
  readonly outputRate: number
  /** Samples of one tick: in and out. */
  readonly tickSamples: number
  readonly speechSamples: number
  readonly layers: number
  readonly heads: number
  readonly headSize: number
  readonly factSlots: number
  readonly streamSlots: number
  readonly ropeTheta: number
  readonly states: readonly StateSpec[]
  /** One for each codebook. */
  readonly temperature: readonly number[]
  /** Logits: of all but silence between replies, and of `<cut>` in one. */
  readonly bias: { readonly begin: number; readonly cut: number }
  readonly tools: readonly Tool[]
  readonly tokens: StepTokens
  /** Where the keys and values of facts are kept from one start to the next; undefined: they are not. */
  readonly factFolder: string | undefined
  readonly graphFolder: string | undefined
  /** A folder with an ONNX Runtime of the owner's; undefined: the package's. */
  readonly onnxruntime: string | undefined
  /** Of the noise; the same seed and the same input give the same reply. */
  readonly seed: number
}

/** Pieces by meaning; `call` and `style` have a `*` where the name stands. */
export interface StepTokens {
  readonly none: string
  readonly endOfTurn: string
  readonly cut: string
  readonly end: string
  readonly fact: string
  readonly factSeparator: string
  readonly typed: string
  readonly event: string
  readonly call: string
  readonly style: string
}

export interface StepSpecOptions {
  /** Which rungs of the ladder to try, in order; default all. */
  readonly providers?: readonly Provider[]
  readonly seed?: number
  /** Where the keys and values of facts are kept from one start to the next; default: nowhere. */
  readonly factFolder?: string
  /** Where the CPU's graph is kept as ONNX Runtime rewrote it, from one start to the next; default: nowhere. */
  readonly graphFolder?: string
  /** A folder with an ONNX Runtime that was built for this device; default: the package's, which is for the CPU. */
  readonly onnxruntime?: string
  /** The wrapper of a ready engine, loaded in the place of the graph on the TensorRT rung, which is refused without one. */
  readonly tensorrtWrapper?: string
}

/** Throws `bundle-schedule` for a bundle that this engine cannot run. */
export function stepSpecOf(bundle: Bundle, options: StepSpecOptions = {}): StepSpec {
  const m = bundle.manifest
  const step = Object.values(m.graphs).find(g => g.role === 'step')
  if (m.schedule.kind !== 'tick' || !step?.context) {
    throw new ParleyError('bundle-schedule', `the bundle ${m.name} has the schedule ${m.schedule.kind}${step ? '' : ' and no step graph'}; this engine runs tick bundles with one step graph`, { hint: 'See docs/bundle.md for what runs today.' })
  }
  const codes = m.streams.find(s => s.carries === 'codes-out')
  const text = m.streams.find(s => s.carries === 'text-out')
  const temperature = (codes && m.sampling[codes.name]?.temperature) ?? 0
  const rungs = (options.providers ?? PROVIDERS).flatMap(provider => {
    const file = provider === 'cpu' ? step.files.cpu ?? step.files.any : step.files.trt ?? step.files.any
    if (!file) return []
    const wrapper = provider === 'tensorrt' ? options.tensorrtWrapper : undefined
    return [{ provider, file: wrapper ?? bundle.path(file.path), precision: file.precision, sha256: m.files[file.path]?.sha256 ?? '', engine: wrapper !== undefined }]
  })
  return {
    name: m.name,
    rungs,
    tokenizer: bundle.path(m.tokenizer.file),
    vocabulary: m.tokenizer.size,
    codebooks: m.codec.codebooks,
    codes: m.codec.codes,
    silentCode: m.codec.silentCode ?? m.codec.codes,
    inputRate: m.frontEnd.rate,
    outputRate: m.codec.rate,
    tickSamples: (m.frontEnd.rate * m.schedule.ms) / 1_000,
    speechSamples: m.codec.samplesPerFrame,
    layers: step.context.layers,
    heads: step.context.heads,
    headSize: step.context.headSize,
    factSlots: step.context.facts,
    streamSlots: step.context.stream,
    ropeTheta: step.context.ropeTheta,
    states: step.states,
    temperature: Array.isArray(temperature) ? temperature : Array<number>(m.codec.codebooks).fill(temperature),
    bias: (text && m.sampling[text.name]?.bias) ?? { begin: 0, cut: 0 },
    tools: m.tools,
    tokens: m.tokens as StepTokens, // cross-check-tick.ts made sure that each is a piece
    factFolder: options.factFolder,
    graphFolder: options.graphFolder,
    onnxruntime: options.onnxruntime,
    seed: options.seed ?? 1,
  }
}
