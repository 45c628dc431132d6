import { z } from 'zod'
import type { Disk } from './disk.js'
import { writeAtomic } from './atomic.js'
import { hashOfLink, type Layout } from './layout.js'

const hash = z.string().regex(/^[0-9a-f]{64}$/)
/** The manifest's own bytes are kept (base64): its hash names the release, so they must not be printed anew. */
const wanted = z.object({ hash, manifest: z.string() })
const failed = z.array(z.object({ hash, reason: z.string() })).max(8).default([])

/** One line of what the updater is doing, written before it does it. */
export const journal = z.discriminatedUnion('state', [
  /** `previous`: the release before the one that runs, kept as long as that one is. `spoilt`: what this source gave was not what was signed; Unix ms. */
  z.object({ state: z.literal('idle'), failed, previous: hash.optional(), spoilt: z.object({ hash, source: z.string(), at: z.number() }).optional() }),
  z.object({ state: z.literal('downloading'), failed, wanted }),
  z.object({ state: z.literal('verified'), failed, wanted }),
  z.object({ state: z.literal('staged'), failed, wanted }),
  z.object({ state: z.literal('switched'), failed, wanted, from: hash }),
  /** `since`: Unix ms, for people. It has lasted `spentMs` at `upMs` of that boot: what counts is no clock that can be set. */
  z.object({ state: z.literal('trial'), failed, wanted, from: hash, since: z.number(), spentMs: z.number().optional(), boot: z.string().optional(), upMs: z.number().optional() }),
  z.object({ state: z.literal('committed'), failed, wanted, from: hash }),
  z.object({ state: z.literal('rolling-back'), failed, wanted, from: hash, reason: z.string() }),
])
export type Journal = z.infer<typeof journal>
export type State = Journal['state']

export async function readJournal(disk: Disk, layout: Layout): Promise<Journal> {
  const bytes = await disk.read(layout.journal)
  const parsed = bytes === undefined ? undefined : journal.safeParse(tryJson(bytes))
  // Lost or unreadable: nothing is known, so nothing is under way. `recover` looks at the trial file before it believes that.
  return parsed?.success ? parsed.data : { state: 'idle', failed: [] }
}

export async function writeJournal(disk: Disk, layout: Layout, line: Journal): Promise<void> {
  await writeAtomic(disk, layout.journal, JSON.stringify(line))
}

export interface Trial {
  readonly release: string
  readonly previous: string
}

export async function readTrial(disk: Disk, layout: Layout): Promise<Trial | undefined> {
  const found = /^release=([0-9a-f]{64}) previous=([0-9a-f]{64})\n$/.exec((await disk.read(layout.trial))?.toString('utf8') ?? '')
  return found ? { release: found[1] as string, previous: found[2] as string } : undefined
}

/** Whether what `current` points at is on trial. A trial file that cannot be read counts as one: a proof too many costs a moment. */
export async function onTrial(disk: Disk, layout: Layout): Promise<boolean> {
  try {
    const trial = await readTrial(disk, layout)
    return trial ? trial.release === (await currentRelease(disk, layout)) : (await disk.stat(layout.trial)) !== undefined
  } catch {
    return true
  }
}

export async function currentRelease(disk: Disk, layout: Layout): Promise<string | undefined> {
  return hashOfLink(await disk.readLink(layout.current))
}

function tryJson(bytes: Buffer): unknown {
  try {
    return JSON.parse(bytes.toString('utf8'))
  } catch {
    return undefined // a torn file is judged by the schema like any other wrong one
  }
}
