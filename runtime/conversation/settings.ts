import { z } from 'zod'

/** `[conversation]`: how the clock and the model keep together. */
export const conversationSettings = z.strictObject({
  /** A step that takes longer gives an error, and the conversation goes on without it, ms. A good step takes under 20. */
  stallMs: z.number().int().min(100).max(10_000).default(500),
  /** Ticks of 80 ms that may wait for the model; then the oldest goes and is counted. More would only answer later. */
  waitingTicks: z.number().int().min(1).max(25).default(4),
  /** Without a microphone frame for so long the clock goes on with silence, so that an answer is not cut by an unplugged microphone, ms. */
  silentAfterMs: z.number().int().min(100).max(5_000).default(400),
})
export type ConversationSettings = z.infer<typeof conversationSettings>
