import { createHash } from 'node:crypto'
import { readFile } from 'node:fs/promises'
import { basename, join } from 'node:path'
import { z } from 'zod'
import { ParleyError, isMissing } from '../../base/errors.js'

export const SETS = ['voices', 'phrasings', 'both'] as const

/** A plain file name: the cases lie beside their list. */
const FileName = z.string().refine(name => name === basename(name) && name !== '..', 'expected a file name')
const Facts = z.array(z.tuple([z.string().min(1), z.string()]))

/** A line of `cases.jsonl`, written by models/train/parley_train/heldout.py. */
export const Case = z.object({
  wav: FileName,
  /** What training never heard: the voice, the phrasing, or both. */
  set: z.enum(SETS),
  voice: z.string(),
  kind: z.string(),
  intent: z.string(),
  said: z.string(),
  facts: Facts,
  /** `move(direction=forward, metres=2)`. */
  calls: z.array(z.string()),
  /** Words of the asked fact that the answer must hold. */
  values: z.array(z.string()),
  /** The asked fact is not among `facts`. */
  missing: z.boolean(),
  reply: z.string(),
})
export type Case = z.infer<typeof Case>

/** A line of `follows.jsonl`: what is understood only after the request `before` ("and the elevator"), by the same voice. */
export const FollowCase = Case.extend({ before: z.object({ wav: FileName, said: z.string() }) })
export type FollowCase = z.infer<typeof FollowCase>

/** A line of `quiet.jsonl`: sound that is not for the device. */
export const QuietCase = z.object({ wav: FileName, kind: z.string(), facts: Facts.default([]) })
export type QuietCase = z.infer<typeof QuietCase>

/** A line of `tones.jsonl`: a request whispered, shouted or in a child's voice, or for a style in words (`asked`), and the style that it asks for. */
export const ToneCase = z.object({ wav: FileName, tone: z.string(), wants: z.string(), voice: z.string(), said: z.string(), facts: Facts.default([]) })
export type ToneCase = z.infer<typeof ToneCase>

/**
 * A line of `people.jsonl` or `readers.jsonl` (who read aloud): a recording of a real person, and where it is from; of `orders.jsonl`,
 * where `said` is the thing ordered alone.
 */
export const PersonCase = z.object({ wav: FileName, said: z.string(), from: z.string(), calls: z.array(z.string()).default([]) })
export type PersonCase = z.infer<typeof PersonCase>

export interface Cases {
  readonly folder: string
  readonly cases: readonly Case[]
  /** Of cases.jsonl: two runs are comparable when they had the same. */
  readonly hash: string
  readonly follows: readonly FollowCase[]
  readonly quiet: readonly QuietCase[]
  readonly tones: readonly ToneCase[]
  readonly people: readonly PersonCase[]
  readonly readers: readonly PersonCase[]
  readonly orders: readonly PersonCase[]
}

/** Reads the lists; all but `cases.jsonl` may be missing. Throws `eval-cases` with the file, the line and the reason. */
export async function readCases(folder: string): Promise<Cases> {
  const list = join(folder, 'cases.jsonl')
  const text = await readFile(list, 'utf8').catch((cause: unknown) => {
    throw new ParleyError('eval-cases', `cannot read ${list}`, { cause, hint: 'Make the cases with `python -m parley_train.heldout --out DIR` in models/train.' })
  })
  return {
    folder,
    cases: parseLines(text, Case, list),
    hash: createHash('sha256').update(text).digest('hex'),
    follows: await readOptional(join(folder, 'follows.jsonl'), FollowCase),
    quiet: await readOptional(join(folder, 'quiet.jsonl'), QuietCase),
    tones: await readOptional(join(folder, 'tones.jsonl'), ToneCase),
    people: await readOptional(join(folder, 'people.jsonl'), PersonCase),
    readers: await readOptional(join(folder, 'readers.jsonl'), PersonCase),
    orders: await readOptional(join(folder, 'orders.jsonl'), PersonCase),
  }
}

async function readOptional<T>(path: string, schema: z.ZodType<T>): Promise<T[]> {
  const text = await readFile(path, 'utf8').catch((cause: unknown) => {
    if (isMissing(cause)) return ''
    throw new ParleyError('eval-cases', `cannot read ${path}`, { cause })
  })
  return parseLines(text, schema, path)
}

export function parseLines<T>(text: string, schema: z.ZodType<T>, where: string): T[] {
  return text.split('\n').flatMap((line, i) => {
    if (!line.trim()) return []
    let json: unknown
    try {
      json = JSON.parse(line)
    } catch (cause) {
      throw new ParleyError('eval-cases', `${where}: line ${i + 1} is not JSON`, { cause })
    }
    const parsed = schema.safeParse(json)
    if (!parsed.success) throw new ParleyError('eval-cases', `${where}: line ${i + 1}: ${z.prettifyError(parsed.error)}`)
    return [parsed.data]
  })
}
