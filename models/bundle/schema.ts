import { z } from 'zod'
import { Count, FilePath, Name, Sha256, StreamName, Text, Token } from './schema-parts.js'
import { Graphs, Sampling, Stream } from './schema-graphs.js'
import { Codec, FrontEnd, Golden, Voices } from './schema-sound.js'
import { Depth, Schedule } from './schema-schedule.js'

/** Numbers go up when an old loader could no longer read a manifest. */
export const SCHEMA_VERSION = 1

export const ToolArg = z.discriminatedUnion('type', [
  z.strictObject({ name: Name, type: z.literal('enum'), values: z.array(z.string().regex(/^[a-z0-9' .:]{1,60}$/)).min(1).max(500) }),
  z.strictObject({ name: Name, type: z.literal('number'), min: z.int().min(0).max(999_999).default(0), max: z.int().min(0).max(999_999).default(99), decimals: z.int().min(0).max(2).default(0) }),
  z.strictObject({ name: Name, type: z.literal('words'), maxPieces: z.int().min(1).max(32).default(8) }),
])
export const Tool = z.strictObject({ name: Name, description: Text.optional(), args: z.array(ToolArg).max(8).default([]) })

/** Special tokens by what they mean. `*` stands for the name of a tool or a style. */
export const Tokens = z.strictObject({
  none: Token.optional(), endOfTurn: Token.optional(), cut: Token.optional(), end: Token.optional(),
  fact: Token.optional(), factSeparator: Token.optional(), typed: Token.optional(), event: Token.optional(),
  call: Token.optional(), style: Token.optional(),
  audioBegin: Token.optional(), audioEnd: Token.optional(), textBegin: Token.optional(), textEnd: Token.optional(),
  imageBegin: Token.optional(), imageEnd: Token.optional(), pad: Token.optional(), audioPlaceholder: Token.optional(),
})

/** `bundle.json`: all that the engine must know of a model. One definition gives the type, the check and the JSON Schema. */
export const Manifest = z.strictObject({
  $schema: z.string().max(300).optional(),
  schema: z.literal(SCHEMA_VERSION),
  name: z.string().regex(/^[a-z0-9][a-z0-9._-]{0,59}$/, 'expected a lower-case name'),
  version: z.string().regex(/^\d+\.\d+\.\d+(-[0-9A-Za-z.-]+)?$/, 'expected a version such as 1.2.3'),
  licence: z.string().min(1).max(200),
  description: Text.optional(),
  /** Every file that the bundle uses, except this one. */
  files: z.record(FilePath, z.strictObject({ bytes: z.int().min(1).max(16 * 2 ** 30), sha256: Sha256 })),
  tokenizer: z.strictObject({ kind: z.enum(['pieces', 'huggingface', 'sentencepiece']), file: FilePath, size: Count }),
  graphs: Graphs,
  streams: z.array(Stream).min(1).max(128),
  /** How the embedded streams of one step become one row. `graph`: inside the graph. */
  combine: z.enum(['graph', 'sum', 'mean', 'scatter', 'concat']),
  schedule: Schedule,
  depth: Depth,
  codec: Codec,
  frontEnd: FrontEnd,
  sampling: z.record(StreamName, Sampling),
  prompt: z.strictObject({ template: z.string().max(20_000), system: z.array(Text).max(50).default([]) }).optional(),
  voices: Voices,
  tokens: Tokens,
  styles: z.array(Name).max(50).default([]),
  tools: z.array(Tool).max(200).default([]),
  golden: Golden,
  /** For people and scripts; the engine does not read it. */
  notes: z.record(z.string().max(60), z.union([z.string().max(4_000), z.number()])).optional(),
})

export type Manifest = z.infer<typeof Manifest>
export type Tool = z.infer<typeof Tool>
export type ToolArg = z.infer<typeof ToolArg>
export type GraphSpec = Manifest['graphs'][string]
export type StateSpec = GraphSpec['states'][number]
/** The class of a graph's file. */
export type ProviderClass = 'cpu' | 'trt' | 'any'

/** For editors and for people who export models. */
export function manifestJsonSchema(): object {
  return z.toJSONSchema(Manifest, { io: 'input', unrepresentable: 'any' })
}
