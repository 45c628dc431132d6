import type { Said } from '../session.js'

/** What the model wrote down of what it heard. */
export function heardOf(said: readonly Said[]): string {
  return said.map(s => s.heard).join('').trim()
}

export interface Hearing {
  /** Words put in, left out or put in another's place (Levenshtein), against those that were said. */
  readonly errors: number
  readonly words: number
}

export function hearing(said: string, heard: string): Hearing {
  const want = wordsIn(said)
  return { errors: distance(want, wordsIn(heard)), words: want.length }
}

/** Errors by word over all, percent; undefined without words. */
export function wordErrorRate(all: readonly Hearing[]): number | undefined {
  const words = all.reduce((sum, h) => sum + h.words, 0)
  return words ? (100 * all.reduce((sum, h) => sum + h.errors, 0)) / words : undefined
}

function wordsIn(text: string): string[] {
  return text.toLowerCase().split(/[^\p{L}\p{N}':.]+/u).filter(Boolean)
}

function distance(a: readonly string[], b: readonly string[]): number {
  let row = Array.from({ length: b.length + 1 }, (_, j) => j)
  for (const [i, x] of a.entries()) {
    const next = [i + 1]
    for (const [j, y] of b.entries()) next.push(Math.min((next[j] as number) + 1, (row[j + 1] as number) + 1, (row[j] as number) + Number(x !== y)))
    row = next
  }
  return row[b.length] as number
}
