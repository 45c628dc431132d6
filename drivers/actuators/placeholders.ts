import { ParleyError } from '../../base/errors.js'
import type { ToolCall } from '../../base/frames.js'

const PLACEHOLDER = /^\{([A-Za-z_]\w*)\}$/
/** Never begins with `-`: a value must not become an option. No quotes, slashes, or control characters. */
const SAFE_WORDS = /^[\p{L}\p{N}][\p{L}\p{N} _.:,-]{0,99}$/u
const SAFE_NUMBER = /^-?\d{1,15}(\.\d{1,9})?$/

/** Puts a call's values in place of arguments that are exactly `{name}`. Throws `bad-call` for a value that is missing or not safe. */
export function fill(argv: readonly string[], call: ToolCall): string[] {
  return argv.map(argument => {
    const name = PLACEHOLDER.exec(argument)?.[1]
    if (name === undefined) return argument
    const value = Object.hasOwn(call.args, name) ? call.args[name] : undefined
    if (value === undefined) throw new ParleyError('bad-call', `${call.name} lacks ${name}`)
    const text = String(value)
    const safe = typeof value === 'number' ? SAFE_NUMBER.test(text) : SAFE_WORDS.test(text)
    if (!safe) throw new ParleyError('bad-call', `${call.name}: ${name} may only hold letters, digits, spaces and _ . : , -, not ${JSON.stringify(text.slice(0, 40))}`)
    return text
  })
}

/** True for an argument that has a brace but is not a whole placeholder: it would never be filled. */
export const isHalfPlaceholder = (argument: string): boolean => /\{\w*\}/.test(argument) && !PLACEHOLDER.test(argument)
