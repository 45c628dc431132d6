import { ParleyError } from '../../base/errors.js'
import type { ToolCall } from '../../base/frames.js'
import type { Tool } from '../bundle/schema.js'

/** What an argument is when the case leaves it out; as in parley_train/timeline.py. */
const DEFAULTS: Readonly<Record<string, Readonly<Record<string, string>>>> = { move: { metres: '1' }, order: { quantity: '1' } }

/**
 * `move(direction=forward, metres=2)` as the engine gives it: arguments of the manifest's types. `written` is how the tokenizer
 * writes a text, so that what it cannot write is not counted against the model.
 * Throws `eval-cases` for a call that the bundle's grammar does not have.
 */
export function parseCall(text: string, tools: readonly Tool[], written: (text: string) => string = x => x): ToolCall {
  const [, name = '', inside = ''] = /^\s*(\w+)\((.*)\)\s*$/.exec(text) ?? []
  const tool = tools.find(t => t.name === name)
  if (!tool) throw new ParleyError('eval-cases', `the bundle has no tool for the call ${text}`)
  const given: Record<string, string> = { ...DEFAULTS[name] }
  for (const [, key = '', value = ''] of inside.matchAll(/(\w+)=(.*?)(?=,\s*\w+=|$)/g)) given[key] = value.trim()
  const unknown = Object.keys(given).find(key => !tool.args.some(arg => arg.name === key))
  if (unknown) throw new ParleyError('eval-cases', `the tool ${name} of the bundle has no argument ${unknown}, as in ${text}`)
  const args: Record<string, string | number> = {}
  for (const arg of tool.args) {
    const value = given[arg.name]
    if (value === undefined) throw new ParleyError('eval-cases', `the call ${text} lacks the argument ${arg.name}`)
    args[arg.name] = arg.type === 'number' ? Number(value) : written(value)
  }
  return { name, args }
}

/** The same calls in the same order, with the same arguments. */
export function sameCalls(a: readonly ToolCall[], b: readonly ToolCall[]): boolean {
  return a.length === b.length && a.every((call, i) => sameCall(call, b[i] as ToolCall))
}

function sameCall(a: ToolCall, b: ToolCall): boolean {
  const names = Object.keys(a.args)
  return a.name === b.name && names.length === Object.keys(b.args).length && names.every(name => a.args[name] === b.args[name])
}
