import { z } from 'zod'
import { readJsonIfThere } from '../../base/files.js'
import type { Fate } from './fate.js'
import type { Source } from './source.js'

/** Who says when: the timer alone, a job of the fleet, or a hawkBit server. *What* may run is said by the signatures alone. */
export interface Permit {
  /** False: nothing new is begun; what is under way is gone on with. */
  readonly check: boolean
  readonly source?: Source
  /** Only this one, by its hash. */
  readonly release?: string
  /** Why it must not be switched to yet. */
  readonly hold?: string
  /** Taken back: what has not been switched to is left. What is on trial is judged like any other. */
  readonly withdrawn?: boolean
  /** After the run, how it stands. `refused`: why it never can be installed. */
  told?(end: { readonly fate: Fate; readonly waiting?: string; readonly refused?: string }, signal: AbortSignal): Promise<void>
}

/** Written by the voice for the updater, on behalf of a job. It can ask for nothing that is not signed. */
export const WISH_FILE = '/run/parley/update-wish.json'
const wish = z.object({ release: z.string().regex(/^[0-9a-f]{64}$/), cancelled: z.boolean().default(false) })
export type Wish = z.input<typeof wish>

/** Without a wish a device that is led by jobs begins nothing by itself. */
export async function wishPermit(path: string): Promise<Permit> {
  const found = wish.safeParse(await readJsonIfThere(path))
  if (!found.success) return { check: false }
  return found.data.cancelled ? { check: false, withdrawn: true } : { check: true, release: found.data.release }
}
