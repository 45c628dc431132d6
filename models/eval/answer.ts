import type { ToolCall } from '../../base/frames.js'
import type { Tool } from '../bundle/schema.js'
import { parseCall, sameCalls } from './calls.js'
import type { Case } from './cases.js'

/** Words that say that something is not known. */
const REFUSAL = /\b(sorry|not|no|cannot|can't|don't|doesn't|didn't|isn't|unknown|nothing|never|without|unfortunately|afraid|missing|unable)\b/

/** What a case expects, in the words that the bundle's tokenizer can write. */
export interface Expected {
  readonly calls: readonly ToolCall[]
  readonly values: readonly string[]
  readonly facts: readonly (readonly [key: string, value: string])[]
  /** Nobody says these by mistake: the person did, or the reply that was meant does. */
  readonly allowed: string
  readonly missing: boolean
  readonly said: string
}

export function expectedOf(item: Case, tools: readonly Tool[], written: (text: string) => string): Expected {
  return {
    calls: item.calls.map(call => parseCall(call, tools, written)),
    values: item.values.map(written),
    facts: item.facts.map(([key, value]) => [written(key), written(value)]),
    allowed: written(`${item.said} ${item.reply}`),
    missing: item.missing,
    said: written(item.said),
  }
}

/** Whether `words` stand in `text` whole: `8` is not in `18`, `8:30` or `2.8`. */
export function says(text: string, words: string): boolean {
  if (!words) return false
  const escaped = words.replace(/[.*+?^${}()|[\]\\]/g, '\\$&')
  return new RegExp(`(?<![\\p{L}\\p{N}]|\\p{N}[.:])${escaped}(?![\\p{L}\\p{N}]|[.:]\\p{N})`, 'u').test(text)
}

/** Every value is said. */
export function holdsValues(text: string, values: readonly string[]): boolean {
  return values.every(value => says(text, value))
}

/** What a fact gives away when it is said: its whole value, or one of its numbers. */
function marksOf(value: string): string[] {
  return [value, ...value.match(/\d+(?:[.:]\d+)*/g) ?? []]
}

/** A fact that holds an asked value is the asked one (or says the same). */
function isAsked(value: string, { values }: Expected): boolean {
  return values.some(v => says(value, v))
}

/**
 * Values of the context that were said though they are not what was asked. What the person said or the meant reply says does not
 * count, nor does what the asked fact also holds (`3` of `battery: 3` when the price is `3 euros`).
 */
export function wrongFacts(text: string, expected: Expected): string[] {
  const right = expected.facts.filter(([, value]) => isAsked(value, expected)).map(([, value]) => value).join(' / ')
  const innocent = (mark: string): boolean => says(right, mark) || says(expected.allowed, mark) || expected.values.some(v => says(v, mark))
  const others = expected.facts.filter(([, value]) => !isAsked(value, expected))
  return [...new Set(others.flatMap(([, value]) => marksOf(value).filter(mark => !innocent(mark) && says(text, mark))))]
}

/** It says that it does not know, and gives no fact. */
export function saysUnknown(text: string, expected: Expected): boolean {
  return REFUSAL.test(text) && wrongFacts(text, expected).length === 0
}

/** Whether a case can be judged by what it says of a fact. A yes or no without a value cannot: no rule here knows which is right. */
export function isJudged(item: Case): boolean {
  return isFactual(item) && (item.missing || item.values.length > 0)
}

export function isFactual(item: Case): boolean {
  return item.kind === 'fact' || item.kind === 'sensor'
}

/** Right after a barge-in: the calls where calls are due, else the values. */
export function isRight(text: string, calls: readonly ToolCall[], expected: Expected): boolean {
  return expected.calls.length > 0 ? sameCalls(calls, expected.calls) : text !== '' && holdsValues(text, expected.values)
}
