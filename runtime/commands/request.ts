import { ParleyError } from '../../base/errors.js'
import type { Message } from '../telemetry/link/link.js'
import { traceOf } from '../telemetry/trace.js'

/** Bytes. The longest request has a thousand characters to say. */
export const MAX_REQUEST = 16 * 1024

export interface Envelope {
  readonly name: string
  /** The correlation data, hex; undefined: the sender gave none, and the same request twice is two. */
  readonly id: string | undefined
  readonly replyTo: string | undefined
  readonly correlationData: Buffer | undefined
  /** W3C trace context, handed on. */
  readonly traceparent: string | undefined
  /** Monotonic ms. */
  readonly expiresAt: number
}

/** Who asks what, and where the answer may go. Never throws: also a bad request should be answered. */
export function envelopeOf(message: Message, prefix: string, replyPrefix: string): Envelope {
  const { responseTopic, correlationData, userProperties, expiryS, receivedAt } = message
  // Elsewhere it would let the sender write with our rights; so such a request gets no answer, and is refused.
  const allowed = responseTopic?.startsWith(`${replyPrefix}/`) && !/[+#\0]/.test(responseTopic) && responseTopic.length <= 256
  return {
    name: message.topic.slice(prefix.length + 1),
    id: correlationData && correlationData.length > 0 && correlationData.length <= 64 ? correlationData.toString('hex') : undefined,
    replyTo: allowed ? responseTopic : undefined,
    correlationData: correlationData && correlationData.length <= 64 ? correlationData : undefined,
    traceparent: traceOf(userProperties),
    expiresAt: expiryS === undefined ? Infinity : receivedAt + expiryS * 1_000,
  }
}

/** The body as JSON. Throws `retained`, `reply-topic`, `too-large` or `malformed`. */
export function bodyOf(message: Message, envelope: Envelope): unknown {
  if (message.retain) throw new ParleyError('retained', 'a retained command is of the past and is not carried out', { hint: 'Publish without the retain flag.' })
  if (message.responseTopic !== undefined && envelope.replyTo === undefined) throw new ParleyError('reply-topic', 'the response topic is not under this device\'s reply topic')
  if (message.payload.length > MAX_REQUEST) throw new ParleyError('too-large', `${message.payload.length} bytes; at most ${MAX_REQUEST}`)
  if (message.payload.length === 0) return {}
  try {
    return JSON.parse(new TextDecoder('utf8', { fatal: true }).decode(message.payload))
  } catch (cause) {
    throw new ParleyError('malformed', 'the request is no JSON', { cause })
  }
}
