import { open } from 'node:fs/promises'
import { ParleyError } from '../../base/errors.js'
import type { Value } from './change.js'

/** A value is a number or a few words; a file with more is not a value. */
const LIMIT = 4_096

/** The text of a small file, trimmed. Reads once from the start: files in /sys have no useful size. Throws the system's error. */
export async function readSmall(path: string): Promise<string> {
  const file = await open(path, 'r')
  try {
    const { buffer, bytesRead } = await file.read(Buffer.alloc(LIMIT), 0, LIMIT, 0)
    if (bytesRead === LIMIT) throw new ParleyError('not-a-value', `${path} holds more than ${LIMIT - 1} bytes`)
    return buffer.toString('utf8', 0, bytesRead).trim()
  } finally {
    await file.close()
  }
}

/** A number, `true`/`false`, or up to 64 lower-case letters, digits, spaces, `_` and `-`. Throws `not-a-value` for all else. */
export function parseValue(text: string, from: string): Value {
  const number = Number(text)
  if (text !== '' && Number.isFinite(number)) return number
  const words = text.toLowerCase()
  if (words === 'true' || words === 'false') return words === 'true'
  if (/^[\p{L}\p{N}][\p{L}\p{N} _-]{0,63}$/u.test(words)) return words
  throw new ParleyError('not-a-value', `${from} holds neither a number nor a short word: ${JSON.stringify(text.slice(0, 40))}`)
}

/** A whole or decimal number. Throws `not-a-value`. */
export function parseNumber(text: string, from: string): number {
  const value = parseValue(text, from)
  if (typeof value === 'number') return value
  throw new ParleyError('not-a-value', `${from} should hold a number, not ${JSON.stringify(text.slice(0, 40))}`)
}
