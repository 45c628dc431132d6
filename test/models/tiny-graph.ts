import type { Node, Tensor, TensorInfo } from '../../models/ladder/onnx-model.js'
import { encodeModel } from '../../models/ladder/onnx-model.js'
import { Random } from '../../models/engine/random.js'

/** Sizes of the tiny step graph. */
export const TINY = { layers: 2, heads: 2, headSize: 8, facts: 16, stream: 24, codebooks: 4, codes: 16, samples: 1280 } as const
/** Floats of `speech`, in order: attention of each layer, the ear's state, the codec's count, live, noise[0], text_in, the fact trace, the ring as it was read, then zeros. */
export const ATTENDED = TINY.layers * TINY.heads * TINY.headSize

const TRACE_WEIGHTS = [0.001, 0.002]
/** How much louder the tiny graph writes a fact's token, by the two tokens before it. */
export function traceLevel(before: number, last: number): number {
  return (TRACE_WEIGHTS[0] as number) * before + (TRACE_WEIGHTS[1] as number) * last
}

export interface TinyTables {
  /** [V, L, H, E] each. */
  readonly keys: Float32Array
  readonly queries: Float32Array
  readonly values: Float32Array
}

export function tinyTables(vocabulary: number): TinyTables {
  const random = new Random(42)
  const table = (): Float32Array => Float32Array.from({ length: vocabulary * ATTENDED }, () => random.next() * 2 - 1)
  return { keys: table(), queries: table(), values: table() }
}

/**
 * A step graph with the inputs and outputs of models/README.md and a scripted head, so that the engine can be tested exactly:
 * - audio[0] × 1000, rounded, is the token to say, if the mask lets it; else what `chain` says follows text_prev;
 *   else what `answers` says to text_in.
 * - it speaks while audio[1] > 0.5 or text_prev is not 0; `speech` shows what the graph saw (see ATTENDED).
 * - the fact trace holds the two tokens before this one of the same fact, and a fact's keys and values depend on it (`traceLevel`).
 * - attention is real: rotated keys and queries, masks, the ring; its layers do not stand on one another.
 */
export function tinyGraph(vocabulary: number, chain: Record<number, number>, answers: Record<number, number>, heardId: number): Buffer {
  const { layers: L, heads: H, headSize: E, facts: F, stream: W, codebooks: K, codes: C, samples } = TINY
  const S = F + W
  const nodes: Node[] = []
  const constants: Tensor[] = []
  const ints = (name: string, values: number[], shape: number[] = [values.length]): string => {
    constants.push({ name, type: 'int64', shape, data: new Uint8Array(BigInt64Array.from(values.map(BigInt)).buffer) })
    return name
  }
  const floats = (name: string, values: Float32Array | number[], shape: number[]): string => {
    constants.push({ name, type: 'float32', shape, data: new Uint8Array(Float32Array.from(values).buffer) })
    return name
  }
  let count = 0
  const op = (name: string, inputs: string[], attributes: Node['attributes'] = {}, output = `${name.toLowerCase()}_${count++}`): string => {
    nodes.push({ op: name, inputs, outputs: [output], attributes })
    return output
  }
  const slice = (x: string, from: string, to: string, axis: string): string => op('Slice', [x, from, to, axis])

  const [n0, n1, n2, n3, nHalf, nE, nF, nS] = [ints('n0', [0]), ints('n1', [1]), ints('n2', [2]), ints('n3', [3]), ints('nHalf', [E / 2]), ints('nE', [E]), ints('nF', [F]), ints('nS', [S])]
  const zero = ints('zero', [0], [1, 1])
  const asFloat = (x: string): string => op('Cast', [x], { to: 1 })
  const asInt = (x: string): string => op('Cast', [x], { to: 7 })

  // the inputs of a fact step are ignored, as in the real graph
  const liveInt = asInt('live')
  const sound = op('Mul', ['audio', 'live'])
  const textPrev = op('Mul', ['text_prev', liveInt])
  const first = slice(sound, n0, n1, n1)
  const loud = op('Greater', [slice(sound, n1, n2, n1), floats('half', [0.5], [1, 1])])

  // text: a forced token, else the chain, else an answer; the mask closes what may not come
  const oneHot = (id: string, weight: number): string => {
    const name = `hot_${count++}`
    const rows = op('OneHot', [id, ints(`${name}_depth`, [vocabulary], []), floats(`${name}_values`, [0, weight], [2])], { axis: -1 })
    const drop = floats(`${name}_not0`, Float32Array.from({ length: vocabulary }, (_, i) => (i === 0 ? 0 : 1)), [vocabulary])
    return op('Reshape', [op('Mul', [rows, drop]), ints(`${name}_shape`, [1, vocabulary])])
  }
  const lookup = (name: string, table: Record<number, number>, id: string): string =>
    op('Gather', [ints(name, Array.from({ length: vocabulary }, (_, i) => table[i] ?? 0)), id], { axis: 0 })
  const forced = asInt(op('Round', [op('Mul', [first, floats('thousand', [1000], [1, 1])])]))
  const logits = op('Add', [op('Add', [oneHot(forced, 30), oneHot(lookup('chain', chain, textPrev), 20)]),
    op('Add', [oneHot(op('Mul', [lookup('answers', answers, 'text_in'), liveInt]), 10), 'text_mask'])])
  const base = floats('base', Float32Array.from({ length: vocabulary }, (_, i) => (i === 0 ? 1 : 0)), [1, vocabulary])
  op('ArgMax', [op('Add', [logits, base])], { axis: 1, keepdims: 1 }, 'text')
  op('Where', [op('And', [loud, op('Equal', ['heard_prev', zero])]), ints('heard_id', [heardId], [1, 1]), zero], {}, 'heard')

  // codes: the noise decides; silent unless loud or in a reply
  const speaking = op('Or', [loud, op('Greater', [textPrev, zero])])
  const chosen = op('Reshape', [op('ArgMax', ['noise'], { axis: 1, keepdims: 0 }), ints('codes_shape', [1, K])])
  op('Where', [speaking, chosen, ints('silence', [C, ...Array<number>(K - 1).fill(0)], [1, K])], {}, 'codes')

  // keys, queries and values come from tables by text_in, scaled by what is heard
  const tables = tinyTables(vocabulary)
  const one = floats('one', [1], [1, 1])
  const traced = op('ReduceSum', [op('Mul', ['fact_trace', floats('trace_weights', TRACE_WEIGHTS, [1, 2])]), n1], { keepdims: 1 })
  const level = op('Add', [slice(sound, n2, n3, n1), op('Mul', [traced, op('Sub', [one, 'live'])])])
  const gain = op('Add', [level, one])
  const pick = (name: keyof TinyTables): string => {
    const rows = op('Reshape', [op('Gather', [floats(name, tables[name], [vocabulary, L * H * E]), op('Reshape', ['text_in', n1])], { axis: 0 }), ints(`${name}_shape`, [L, H, E])])
    return op('Mul', [rows, op('Reshape', [gain, ints(`${name}_gain`, [1, 1, 1])])])
  }
  const rotate = (x: string, rope: string): string => {
    const [a, b] = [slice(x, n0, nHalf, n2), slice(x, nHalf, nE, n2)]
    const [cos, sin] = [slice(rope, n0, n1, n0), slice(rope, n1, n2, n0)]
    return op('Concat', [op('Sub', [op('Mul', [a, cos]), op('Mul', [b, sin])]), op('Add', [op('Mul', [a, sin]), op('Mul', [b, cos])])], { axis: 2 })
  }
  const keys = op('Identity', [rotate(pick('keys'), 'rope_stream')], {}, 'k_new')
  const values = op('Identity', [pick('values')], {}, 'v_new')
  const queries = pick('queries')
  const [byStream, byFacts] = [rotate(queries, 'rope_stream'), rotate(queries, 'rope_facts')]
  const mask = op('Concat', ['mask', floats('self_open', [0], [1, 1])], { axis: 1 })
  const attended: string[] = []
  for (let l = 0; l < L; l++) {
    const [from, to] = [ints(`from${l}`, [l]), ints(`to${l}`, [l + 1])]
    const layer = (x: string, shape: number[]): string => op('Reshape', [slice(x, from, to, n0), ints(`shape_${count}`, shape)])
    const scores = op('Concat', [
      op('MatMul', [layer(byFacts, [1, H, 1, E]), slice(`k${l}`, n0, nF, n3)]),
      op('MatMul', [layer(byStream, [1, H, 1, E]), slice(`k${l}`, nF, nS, n3)]),
      op('MatMul', [layer(byStream, [1, H, 1, E]), layer(keys, [1, H, E, 1])]),
    ], { axis: 3 })
    const weights = op('Softmax', [op('Add', [scores, mask])], { axis: 3 })
    attended.push(op('Reshape', [op('MatMul', [weights, op('Concat', [`v${l}`, layer(values, [1, H, 1, E])], { axis: 2 })]), ints(`flat${l}`, [1, H * E])]))
  }

  // states: the ear remembers the last three values of audio[2], the codec counts its frames
  const ear = op('Concat', [slice('ear', n1, n3, n1), slice(sound, n2, n3, n1)], { axis: 1 }, 'ear_new')
  const codec = op('Add', ['codec', floats('codec_step', [1], [1, 1])], {}, 'codec_new')
  // the ring: what is heard and its negative, in two slots a tick of two pieces
  const heardLevel = op('Reshape', [slice(sound, n2, n3, n1), ints('ring_one', [1, 1, 1])])
  const pair = op('Concat', [heardLevel, op('Neg', [heardLevel])], { axis: 2 })
  op('Concat', [pair, op('Mul', [pair, floats('ten', [10], [1, 1, 1])])], { axis: 1 }, 'past_new')
  const past = op('Reshape', ['past', ints('ring_flat', [1, 12])])
  op('Concat', [slice('fact_trace', n1, n2, n1), asFloat('text_in')], { axis: 1 }, 'fact_trace_new')
  const told = op('Concat', [...attended, ear, codec, 'live', slice(slice('noise', n0, n1, n0), n0, n1, n1), asFloat('text_in'), 'fact_trace', past], { axis: 1 })
  const used = ATTENDED + 3 + 1 + 1 + 1 + 1 + 2 + 12
  op('Concat', [told, floats('rest', new Float32Array(samples - used), [1, samples - used])], { axis: 1 }, 'speech')

  const f = (name: string, ...shape: number[]): TensorInfo => ({ name, type: 'float32', shape })
  const i = (name: string, ...shape: number[]): TensorInfo => ({ name, type: 'int64', shape })
  const rings = Array.from({ length: L }, (_, l) => [f(`k${l}`, 1, H, E, S), f(`v${l}`, 1, H, S, E)]).flat()
  return encodeModel({
    name: 'tiny', opsets: { '': 17 }, nodes, initializers: constants,
    inputs: [f('audio', 1, samples), i('text_in', 1, 1), i('text_prev', 1, 1), i('heard_prev', 1, 1), i('codes_prev', 1, K), f('live', 1, 1), f('rope_stream', 2, E / 2), f('rope_facts', 2, E / 2),
      f('mask', 1, S), f('text_mask', 1, vocabulary), f('noise', K, C), ...rings, f('ear', 1, 3), f('codec', 1, 1), f('fact_trace', 1, 2), f('past', 1, 2, 6)],
    outputs: [i('text', 1, 1), i('heard', 1, 1), i('codes', 1, K), f('speech', 1, samples), f('k_new', L, H, E), f('v_new', L, H, E), f('ear_new', 1, 3), f('codec_new', 1, 1), f('fact_trace_new', 1, 2), f('past_new', 1, 2, 2)],
  })
}
