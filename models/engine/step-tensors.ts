import { createRequire } from 'node:module'
import type { Tensor } from 'onnxruntime-common'
import { ParleyError } from '../../base/errors.js'
import type { Feeds, GraphSession } from '../ladder/backend.js'
import { KvRing } from './ring.js'
import { SlotRing } from './slot-ring.js'
import type { StepSpec } from './step-spec.js'

// the CommonJS copy that the native binding itself loads: a second one would cost memory for nothing
const { Tensor: OrtTensor } = createRequire(import.meta.url)('onnxruntime-common') as typeof import('onnxruntime-common')

/** 10 s: no longer silence is in the streams that a model learns from, and one that looks at more of it answers nobody (docs/adr/0023). */
const IDLE_TICKS = 125

/** A state that is fed back as it comes out. */
interface Fed {
  readonly output: string
  readonly data: Float32Array
  readonly reset: 'turn' | 'session' | 'fact'
}

/** All inputs of the step graph, allocated once. ONNX Runtime reads these buffers in place, so writing here is all there is to do. */
export class StepTensors {
  readonly feeds: Feeds = {}
  readonly ring: KvRing
  readonly audio: Float32Array
  readonly noise: Float32Array
  readonly ropeStream: Float32Array
  readonly ropeFacts: Float32Array
  /** The outputs that hold the new keys and values. */
  readonly keysOutput: string
  readonly valuesOutput: string
  readonly #live: Float32Array
  readonly #ids: Record<'text_in' | 'text_prev' | 'heard_prev', Int32Array>
  readonly #codes: Int32Array
  /** Fed back by ticks. */
  readonly #fed: Fed[] = []
  readonly #rings: { readonly output: string; readonly ring: SlotRing }[] = []
  /** Fed back by fact steps, and zeros for ticks. */
  readonly #factFed: Fed[] = []
  readonly #mask: Tensor
  readonly #factMask: Tensor
  /** Mask tensors by their arrays, so that a known grammar state costs one look-up. */
  readonly #textMasks = new WeakMap<Float32Array, Tensor>()
  #turnDirty = false

  constructor(spec: StepSpec) {
    const { codebooks, codes, headSize } = spec
    this.ring = new KvRing({ ...spec, idleTicks: IDLE_TICKS })
    this.audio = this.#float('audio', [1, spec.tickSamples])
    this.#live = this.#float('live', [1, 1])
    this.ropeStream = this.#float('rope_stream', [2, headSize / 2])
    this.ropeFacts = this.#float('rope_facts', [2, headSize / 2])
    this.noise = this.#float('noise', [codebooks, codes])
    this.#ids = { text_in: this.#ints('text_in', [1, 1]), text_prev: this.#ints('text_prev', [1, 1]), heard_prev: this.#ints('heard_prev', [1, 1]) }
    this.#codes = this.#ints('codes_prev', [1, codebooks])
    this.#mask = new OrtTensor('float32', this.ring.mask, [1, this.ring.mask.length])
    this.#factMask = new OrtTensor('float32', this.ring.factMask, [1, this.ring.factMask.length])
    let keys = ''
    let values = ''
    for (const state of spec.states) {
      const data = this.#float(state.name, state.shape as number[])
      if (state.kind === 'kv-ring') {
        const columns = state.slotAxis === 3
        this.ring.add(data, columns, state.slice ?? 0)
        if (columns) keys = state.output
        else values = state.output
      } else if (state.kind === 'ring') {
        this.#rings.push({ output: state.output, ring: new SlotRing(data, state.shape as number[], state.slotAxis ?? 0, state.slots ?? 1) })
      } else if (state.reset !== 'tick') {
        const list = state.reset === 'fact' ? this.#factFed : this.#fed
        list.push({ output: state.output, data, reset: state.reset })
      }
    }
    this.keysOutput = keys
    this.valuesOutput = values
    this.setLive(true)
  }

  setLive(live: boolean): void {
    this.#live[0] = live ? 1 : 0
    this.feeds['mask'] = live ? this.#mask : this.#factMask
    this.beginFact()
  }

  setId(input: 'text_in' | 'text_prev' | 'heard_prev', id: number): void {
    this.#ids[input][0] = id
  }

  setCode(book: number, code: number): void {
    this.#codes[2 * book] = code // the low half of an int64
  }

  setTextMask(mask: Float32Array): void {
    let tensor = this.#textMasks.get(mask)
    if (!tensor) this.#textMasks.set(mask, tensor = new OrtTensor('float32', mask, [1, mask.length]))
    this.feeds['text_mask'] = tensor
  }

  /** The states of facts go back to zeros. */
  beginFact(): void {
    for (const state of this.#factFed) state.data.fill(0)
  }

  /** Carries the states of facts over to the next fact step; those of ticks stay as they are. */
  feedBackFact(outputs: Feeds): void {
    for (const state of this.#factFed) state.data.set(outputs[state.output]?.data as Float32Array)
  }

  /** Carries the states over to the next tick; those of a turn go back to zeros while the model is silent. */
  feedBack(outputs: Feeds, speaking: boolean): void {
    for (const state of this.#fed) {
      if (state.reset === 'turn' && !speaking) {
        if (this.#turnDirty) state.data.fill(0)
      } else {
        state.data.set(outputs[state.output]?.data as Float32Array)
      }
    }
    for (const { output, ring } of this.#rings) ring.write(outputs[output]?.data as Float32Array)
    this.#turnDirty = speaking
  }

  resetStates(): void {
    for (const state of this.#fed) state.data.fill(0)
    for (const { ring } of this.#rings) ring.clear()
    this.#turnDirty = false
  }

  /** Throws `graph-mismatch` when the graph is not the one that the manifest describes. */
  check(graph: GraphSession, spec: StepSpec): void {
    const inputs = new Map(graph.inputs.map(i => [i.name, i]))
    for (const [name, tensor] of Object.entries(this.feeds)) {
      const input = inputs.get(name)
      if (!input) throw mismatch(`it has no input ${name}`)
      inputs.delete(name)
      const found = input.shape.join(' × ')
      if (input.type !== tensor.type || found !== tensor.dims.join(' × ')) throw mismatch(`its input ${name} is ${input.type} ${found}, and the manifest gives ${tensor.type} ${tensor.dims.join(' × ')}`)
    }
    for (const extra of inputs.keys()) throw mismatch(`it has an input ${extra} that the manifest does not know`)
    const outputs = new Map(graph.outputs.map(o => [o.name, o]))
    for (const name of ['text', 'heard', 'codes', 'speech', ...spec.states.map(s => s.output)]) if (!outputs.has(name)) throw mismatch(`it has no output ${name}`)
    for (const s of spec.states) {
      const found = outputs.get(s.output)?.shape.join(' × ')
      const want = s.shape.map((d, axis) => (axis === s.slotAxis ? s.slots : d)).join(' × ')
      if (s.kind === 'ring' && found !== want) throw mismatch(`its output ${s.output} is ${found}, and the manifest gives ${want}`)
    }
  }

  #float(name: string, shape: readonly number[]): Float32Array {
    const data = new Float32Array(shape.reduce((a, b) => a * b, 1))
    this.feeds[name] = new OrtTensor('float32', data, shape)
    return data
  }

  /** An int64 input seen as pairs of int32: written without making a BigInt each time. Token numbers are small and positive. */
  #ints(name: string, shape: readonly number[]): Int32Array {
    const data = new BigInt64Array(shape.reduce((a, b) => a * b, 1))
    this.feeds[name] = new OrtTensor('int64', data, shape)
    return new Int32Array(data.buffer)
  }
}

function mismatch(reason: string): ParleyError {
  return new ParleyError('graph-mismatch', `the step graph is not what bundle.json says: ${reason}`)
}
