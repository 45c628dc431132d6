import { z } from 'zod'

const key = z.string().regex(/^[\p{L}][\p{L}\p{N}_ -]{0,59}$/u, 'a name of letters, digits, spaces, - and _')
const words = z.string().trim().min(1).max(200).regex(/^[^\n\r]*$/, 'one line of text')
const value = z.union([words, z.number(), z.boolean()])

/** `[facts]`: what the model can be asked about this place. */
export const factsSettings = z.record(key, value).default({})
/** `[readings]`: values of sensors at the start, for a test or a place without sensors. */
export const readingsSettings = z.record(key, value).default({})

type Values = z.infer<typeof factsSettings>

/** As the model reads them: `opening hours: 8 to 20`. */
export function factLines(facts: Values): string[] {
  return Object.entries(facts).map(([name, fact]) => `${spoken(name)}: ${fact}`)
}

export function readingsOf(readings: Values): { source: string; value: string | number | boolean }[] {
  return Object.entries(readings).map(([name, reading]) => ({ source: spoken(name), value: reading }))
}

/** TOML's bare keys have no spaces; the model's words do. */
const spoken = (name: string): string => name.replaceAll('_', ' ').trim()
