import { dirname, resolve } from 'node:path'
import { readFile } from 'node:fs/promises'
import { parse } from 'smol-toml'
import { z } from 'zod'
import { ParleyError, isMissing } from '../../base/errors.js'
import { factsSettings, readingsSettings } from '../config/site.js'

const expectation = z.strictObject({
  /** Each must occur in the answer, as a word. */
  words: z.array(z.string().min(1)).default([]),
  /** One of these must. */
  anyOf: z.array(z.string().min(1)).default([]),
  tool: z.strictObject({ name: z.string().min(1), args: z.record(z.string(), z.union([z.string(), z.number()])).default({}) }).optional(),
  /** No answer may come: it was not said to the device. */
  silent: z.boolean().default(false),
})

const turn = z.strictObject({
  /** Beside this file. */
  wav: z.string().min(1),
  /** What is said in it: for the table. */
  said: z.string().min(1),
  /** It begins while the answer before it sounds, and must stop that. */
  interrupts: z.boolean().default(false),
  /** For one that interrupts: ms from the first sound of the answer before it. */
  afterMs: z.number().int().min(0).max(10_000).default(700),
  expect: expectation.prefault({}),
})

const schema = z.strictObject({ facts: factsSettings, readings: readingsSettings, turns: z.array(turn).min(1) })

export type DemoScript = z.infer<typeof schema>
export type DemoTurn = DemoScript['turns'][number]

/** Reads a demo's script; the WAV paths come out absolute. */
export async function loadScript(path: string): Promise<DemoScript> {
  let raw: unknown
  try {
    raw = parse(await readFile(path, 'utf8'))
  } catch (cause) {
    throw new ParleyError(isMissing(cause) ? 'config-missing' : 'bad-config', `cannot read the demo's script ${path}`, { cause })
  }
  const checked = schema.safeParse(raw)
  if (!checked.success) throw new ParleyError('bad-config', `${path}: ${checked.error.issues.map(i => `${i.path.join('.')}: ${i.message}`).join('; ')}`)
  const script = checked.data
  if (script.turns[0]?.interrupts) throw new ParleyError('bad-config', `${path}: the first turn has nothing to interrupt`)
  return { ...script, turns: script.turns.map(t => ({ ...t, wav: resolve(dirname(path), t.wav) })) }
}

