import { z } from 'zod'

/** Ms on the conversation's time line: zero is the microphone's first sample. */
const at = z.number()
/** A latency, from two stamps; null where one of them does not exist. */
const ms = z.number().nullable()
const args = z.record(z.string(), z.union([z.string(), z.number()]))
const turn = z.number().int().min(1)

const steps = z.strictObject({ count: z.number().int(), p50: ms, p95: ms, max: ms })
const tool = z.strictObject({ name: z.string(), args, ok: z.boolean(), ms: z.number(), error: z.string().optional() })

export const turnEvent = z.strictObject({
  at, type: z.literal('turn'), turn,
  text: z.string(), heard: z.string(), style: z.string().nullable(),
  /** The person's speech that this turn answers. */
  personFrom: ms, personTo: ms,
  firstSound: ms,
  /** End of the person's speech (of a typed turn: its last key) to the first sound. */
  firstSoundMs: ms,
  /** The model's own part of it: to the end of the tick in which it gave its first sound. The rest is the runtime's. */
  onsetMs: ms,
  spokenMs: z.number(), heardMs: z.number(),
  interrupted: z.boolean(),
  /** Onset of the speech that interrupted to the silence of the speaker. */
  bargeInMs: ms,
  ended: z.enum(['end', 'cut', 'lost', 'closed']),
  tools: z.array(tool),
  steps,
  drops: z.strictObject({ microphoneTicks: z.number().int(), speechChunks: z.number().int(), gaps: z.number().int() }),
})

/** Of the model's process; any other failure of a step is `engine-failed`. */
export const ENGINE_CODES = ['engine-lost', 'engine-stalled', 'engine-busy', 'engine-dead', 'engine-closed', 'engine-failed'] as const
export type EngineCode = (typeof ENGINE_CODES)[number]
/** What parts report; besides these an `error` has the code of a call that was not carried out. All stand in docs/events.md. */
export const PART_CODES = ['speaker-stalled', 'speaker-failed', 'speaker-slow', 'microphone-failed', 'sensor-lost', 'driver-missing', 'readings-too-long', 'golden-failed'] as const
export type PartCode = (typeof PART_CODES)[number]

/** Every line of an events file (docs/events.md). */
export const conversationEvent = z.discriminatedUnion('type', [
  z.strictObject({ at, type: z.literal('speech-start') }),
  z.strictObject({ at, type: z.literal('speech-end') }),
  z.strictObject({ at, type: z.literal('text'), turn, text: z.string() }),
  z.strictObject({ at, type: z.literal('tool'), turn, name: z.string(), args }),
  z.strictObject({ at, type: z.literal('first-sound'), turn, afterSpeechMs: ms, onsetMs: ms }),
  z.strictObject({ at, type: z.literal('interrupted'), turn, heardMs: z.number(), bargeInMs: ms }),
  turnEvent,
  z.strictObject({ at, type: z.literal('reading'), source: z.string(), value: z.union([z.string(), z.number(), z.boolean()]), unit: z.string().optional() }),
  z.strictObject({ at, type: z.literal('error'), code: z.string(), message: z.string(), hint: z.string().optional(), turn: turn.optional(), count: z.number().int().optional() }),
])

export type ConversationEvent = z.infer<typeof conversationEvent>
export type TurnEvent = z.infer<typeof turnEvent>
export type OnEvent = (event: ConversationEvent) => void
