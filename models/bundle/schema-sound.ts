import { z } from 'zod'
import { Count, FilePath, Finite, Name, Rate, Text } from './schema-parts.js'

/** Sound out: codes to samples. */
export const Codec = z.strictObject({
  /** Hz of the samples. */
  rate: Rate,
  /** Frames a second. */
  frameRate: z.number().min(1).max(1_000),
  codebooks: Count.max(64),
  /** Codes a codebook. */
  codes: Count.max(1_000_000),
  samplesPerFrame: Count,
  /** The id in the first codebook that means silence. */
  silentCode: z.int().min(0).max(1_000_000).optional(),
  /** frame: K codes a frame. coarse-to-fine: codebook i has repeats[i] codes a frame (SNAC: 1 2 4). offset: codebook i's ids begin at i × codes. */
  flatten: z.strictObject({ order: z.enum(['frame', 'coarse-to-fine', 'offset']), repeats: z.array(Count.max(64)).min(1).max(64).optional() }).default({ order: 'frame' }),
  /** Samples that two frames share. */
  overlap: z.int().min(0).max(1_000_000).default(0),
  /** Frames that the decoder must see ahead. */
  lookahead: z.int().min(0).max(1_000).default(0),
  /** The host turns spectra into samples. */
  istft: z.strictObject({ nfft: Count, hop: Count, window: z.enum(['hann', 'hamming', 'sqrt-hann']), centre: z.boolean().default(true) }).optional(),
})

/** Sound in. */
export const FrontEnd = z.strictObject({
  rate: Rate,
  kind: z.enum(['waveform', 'mel']),
  /** waveform: samples that one step takes. */
  samplesPerStep: Count.optional(),
  mel: z.strictObject({
    nfft: Count, window: Count, hop: Count, bins: Count.max(1_000),
    fmin: Finite, fmax: Finite,
    scale: z.enum(['slaney', 'htk']), log: z.enum(['ln', 'log10', 'db']),
    normalise: z.enum(['none', 'utterance', 'feature', 'whisper']), preemphasis: z.number().min(0).max(1).default(0),
  }).optional(),
  /** Mel frames that become one embedding. */
  framesPerEmbedding: Count.optional(),
})

/** Fixed voices only: there is no field for a recording of somebody. */
export const Voices = z.strictObject({
  default: Name,
  presets: z.array(z.strictObject({ name: Name, description: Text.optional(), embedding: FilePath.optional() })).min(1).max(100),
})

export const Golden = z.strictObject({
  wav: FilePath,
  /** `key: value` lines that the model is given first. */
  facts: z.array(z.string().min(1).max(400)).max(200).default([]),
  /** The reply must hold all these words, and end with this call. */
  expect: z.strictObject({
    words: z.array(z.string().min(1).max(60)).max(60).default([]),
    tool: z.strictObject({ name: Name, args: z.record(Name, z.union([z.string(), z.number()])).default({}) }).optional(),
  }).refine(e => e.words.length > 0 || e.tool, 'expected words or a tool'),
  /** Ms after the end of the recording in which the reply must be over. */
  withinMs: z.int().min(100).max(120_000).default(8_000),
})
