import { readFile, rm } from 'node:fs/promises'
import { join } from 'node:path'
import { pause, type Clock } from '../../base/clock.js'
import { ParleyError, systemCode } from '../../base/errors.js'
import { writeFileAtomic } from '../../base/files.js'
import { fateOf } from './fate.js'
import { Layout } from './layout.js'
import { WISH_FILE, type Wish } from './permit.js'
import { realDisk } from './real-disk.js'

/** How often the journal of the updater is read, ms. */
const LOOK_MS = 2_000
/** Refusals that time does not mend. */
export const FINAL = ['update-refused', 'update-tampered', 'update-downgrade', 'update-arch', 'update-manifest']

export interface UpdateJobOptions {
  readonly clock: Clock
  readonly root?: string
  readonly lookMs?: number
}

/**
 * The job `update` with the argument `release`: wishes for a release and waits for what becomes of it. The updater is another
 * process with other rights; they share three files. It lives through the restart that it brings about (`again`).
 */
export function updateJob({ clock, root = '/', lookMs = LOOK_MS }: UpdateJobOptions) {
  const layout = new Layout(root)
  const path = join(root, WISH_FILE)
  const write = (wish: Wish): Promise<void> => writeFileAtomic(path, JSON.stringify(wish), 0o640)
  const run = async (args: Readonly<Record<string, unknown>>, signal: AbortSignal): Promise<void> => {
    const release = String(args['release'] ?? '')
    if (!/^[0-9a-f]{64}$/.test(release)) throw new ParleyError('invalid', 'the argument release is not the SHA-256 of a manifest')
    const began = clock.wall()
    let asked = false
    for (;;) {
      const fate = await fateOf(realDisk, layout, release)
      const refused = fate.is === 'under-way' && asked ? await refusal(join(root, 'run/parley-update/state.json'), release, began) : undefined
      if (fate.is !== 'under-way' || refused !== undefined) {
        await rm(path, { force: true })
        if (fate.is === 'succeeded') return
        throw new ParleyError('update-failed', refused ?? (fate.is === 'failed' ? fate.reason : ''))
      }
      if (!asked) await write({ release })
      asked = true
      await pause(clock, lookMs, signal) // looked at below
      if (!signal.aborted) continue
      // Closing is no reason to give up: the next process goes on. Everything else takes the wish back.
      if (systemCode(signal.reason) !== 'closed') await write({ release, cancelled: true })
      throw signal.reason
    }
  }
  return { disturbs: false, interrupted: 'again' as const, run }
}

/** What the updater said of this release since the job began. */
async function refusal(path: string, release: string, since: number): Promise<string | undefined> {
  try {
    const said = JSON.parse(await readFile(path, 'utf8')) as { release?: unknown; code?: unknown; reason?: unknown; at?: unknown }
    return said.release === release && Number(said.at) >= since && FINAL.includes(String(said.code)) ? String(said.reason) : undefined
  } catch {
    return undefined // nothing was said yet
  }
}
