import { z } from 'zod'
import { Count, DType, FilePath, Finite, GraphName, Name, StreamName, Token } from './schema-parts.js'

const Dim = z.int().min(1).max(100_000_000)

/** A tensor that a graph keeps from one run to the next. `output` is where its next value (or, for a ring, its new slot) comes out. */
export const State = z.strictObject({
  name: Name,
  output: Name,
  dtype: DType.default('float32'),
  /** Whole numbers; `grow` marks the axis that gets longer with each run (kind kv-grow). */
  shape: z.array(z.union([Dim, z.literal('grow')])).min(1).max(8),
  /**
   * kv-ring: fixed size, the host writes `output[slice]` into the slot of this step. kv-grow: replaced by its longer self.
   * ring: fixed size, the host writes the `slots` of `output` over the oldest ones; the graph must not care about their order.
   * conv: a history of inputs. overlap: samples that the next frame adds to. counter: a position or a phase.
   */
  kind: z.enum(['kv-ring', 'kv-grow', 'ring', 'conv', 'overlap', 'counter']),
  /**
   * When it goes back to zeros. `tick`: never kept, `turn`: whenever the model is silent, `session`: only at the start. `fact`: at the
   * first token of every fact; it goes from one fact step to the next, and ticks neither see nor change it.
   */
  reset: z.enum(['tick', 'turn', 'session', 'fact'], 'expected tick, turn, session or fact: when it goes back to zeros'),
  /** kv-ring, ring: the axis of `shape` that counts slots. */
  slotAxis: z.int().min(0).max(7).optional(),
  /** kv-ring: which row of the output's first axis is this tensor's, where one output holds all layers. */
  slice: z.int().min(0).max(1_000).optional(),
  /** ring: how many slots each run gives. */
  slots: Count.optional(),
})

/** One ONNX file for a class of provider. `trt` is also what CUDA runs; `any` is for all without their own. */
export const GraphFile = z.strictObject({
  path: FilePath,
  /** As a person reads it: fp32, fp16, int8-s8s8, int8-u8s8, int4. */
  precision: z.enum(['fp32', 'fp16', 'bf16', 'int8-s8s8', 'int8-u8s8', 'int8-weights', 'int4-weights']),
})

export const ROLES = ['step', 'audio_encoder', 'image_encoder', 'embedder', 'backbone', 'depth', 'codec_decoder', 'talker', 'token2wav', 'vocoder', 'listener'] as const

export const Graph = z.strictObject({
  role: z.enum(ROLES),
  files: z.strictObject({ cpu: GraphFile.optional(), trt: GraphFile.optional(), any: GraphFile.optional() })
    .refine(f => f.cpu ?? f.trt ?? f.any, 'expected a file for cpu, trt or any'),
  states: z.array(State).max(2_000).default([]),
  /** The context of a transformer with a ring: `facts` slots that stay, then `stream` slots that go round. */
  context: z.strictObject({ layers: Count, heads: Count, headSize: Count, facts: z.int().min(0).max(1_000_000), stream: Count, ropeTheta: z.number().min(2).max(1e9).default(10_000) }).optional(),
})
export const Graphs = z.record(GraphName, Graph)

/** How what flows in or out is given to the model. */
export const Stream = z.strictObject({
  name: StreamName,
  carries: z.enum(['audio-in', 'image-in', 'text-in', 'text-out', 'heard-out', 'codes-out', 'image-out']),
  embed: z.discriminatedUnion('how', [
    /** Numbers or samples go straight into the graph's input. */
    z.strictObject({ how: z.literal('graph'), input: Name }),
    /** The host looks rows up in a table of the bundle and adds them. */
    z.strictObject({ how: z.literal('table'), file: FilePath, dtype: DType, rows: Count, width: Count }),
    /** A graph gives rows, which the host writes over the placeholder tokens of the prompt. */
    z.strictObject({ how: z.literal('scatter'), graph: GraphName, placeholder: Token, width: Count }),
  ]),
  /** How many symbols it has, where it has symbols. */
  vocabulary: Count.optional(),
  /** The input is declared for a model to come, and this one ignores it. */
  reserved: z.boolean().default(false),
})

export const Sampling = z.strictObject({
  method: z.enum(['greedy', 'gumbel', 'top-k', 'top-p']),
  /** One for the stream, or one for each codebook; 0 is greedy. */
  temperature: z.union([z.number().min(0).max(5), z.array(z.number().min(0).max(5)).min(1).max(64)]).default(0),
  topK: Count.optional(),
  topP: z.number().gt(0).max(1).optional(),
  repetitionPenalty: Finite.optional(),
  /** Of the text stream, added to its logits: how sure the model must be, found by measuring a trained network. */
  bias: z.strictObject({
    /** For all but silence while no reply is under way. Below 0: it answers what is not for it less often, and a person a little less. */
    begin: z.number().min(-20).max(20).default(0),
    /** For `<cut>` during a reply. Above 0: it stops sooner when spoken over, and for less. */
    cut: z.number().min(-20).max(20).default(0),
  }).optional(),
})
