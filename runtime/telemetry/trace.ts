import { randomBytes } from 'node:crypto'

/** The user property that carries it. Source: W3C Trace Context, 3.2; its values are lower case and not all zero. */
export const TRACE_PROPERTY = 'traceparent'
const TRACEPARENT = /^00-(?!0{32})[0-9a-f]{32}-(?!0{16})[0-9a-f]{16}-[0-9a-f]{2}$/

export function isTrace(value: unknown): value is string {
  return typeof value === 'string' && TRACEPARENT.test(value)
}

/** The trace that a message belongs to; anything else there is left out. */
export function traceOf(userProperties: Readonly<Record<string, unknown>>): string | undefined {
  const value = userProperties[TRACE_PROPERTY]
  return isTrace(value) ? value : undefined
}

/** A new span: of the trace of `parent`, or the first of a new trace. */
export function newSpan(parent?: string): string {
  const [, trace = randomBytes(16).toString('hex'), , flags = '01'] = isTrace(parent) ? parent.split('-') : []
  return `00-${trace}-${randomBytes(8).toString('hex')}-${flags}`
}
