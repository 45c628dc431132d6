import { z } from 'zod'
import { Count, GraphName, StreamName, Token } from './schema-parts.js'

/** Tokens that turn the schedule. Where two could act on one step, the earlier in `precedence` does. */
const Turning = {
  switch: z.array(z.strictObject({ token: Token, stream: StreamName, to: StreamName })).max(20).default([]),
  stop: z.array(z.strictObject({ token: Token, stream: StreamName })).max(20).default([]),
  precedence: z.array(z.enum(['stop', 'switch', 'cut', 'call', 'limit'])).max(5).default(['stop', 'cut', 'call', 'switch', 'limit']),
  /** Steps after which a turn ends, whatever the model wants. */
  limit: Count.optional(),
}

export const Schedule = z.discriminatedUnion('kind', [
  /** Full duplex: one step every `ms`, hearing and speaking. */
  z.strictObject({ kind: z.literal('tick'), ms: z.int().min(10).max(1_000), ...Turning }),
  /** By turns: `text` tokens, then `audio` frames, and again. */
  z.strictObject({ kind: z.literal('interleave'), text: Count, audio: Count, ...Turning }),
  /** By turns: all streams in each step; stream i lags `delays[i]` steps, text leads the sound by `textLead`. */
  z.strictObject({ kind: z.literal('parallel'), streams: z.array(StreamName).min(1).max(64), delays: z.array(z.int().min(0).max(1_000)).min(1).max(64), textLead: z.int().min(0).max(1_000), ...Turning }),
  /** By turns: one model writes, a second one speaks what the first thought. */
  z.strictObject({ kind: z.literal('thinker_talker'), thinker: GraphName, talker: GraphName, tokenToWave: GraphName.optional(), hiddenFrom: z.array(z.enum(['embedding', 'hidden', 'text'])).min(1), talkerStepsPerToken: Count.optional(), ...Turning }),
])

/** How the codebooks of one frame come about. */
export const Depth = z.discriminatedUnion('mode', [
  z.strictObject({ mode: z.literal('none') }),
  z.strictObject({
    mode: z.literal('autoregressive'),
    codebooks: Count.max(64),
    /** In the step graph itself, or in a graph of role depth that the host runs K times. */
    where: z.enum(['graph', 'host']),
    graph: GraphName.optional(),
    conditionedOn: z.array(z.enum(['hidden', 'text'])).min(1),
  }),
  /** Groups are filled in parallel, one pass each. */
  z.strictObject({ mode: z.literal('maskgit'), groups: z.array(Count.max(64)).min(1).max(64), graph: GraphName, passesPerGroup: Count.max(64).default(1) }),
])
