import { removeDurably, switchLink, writeAtomic } from '../../deploy/update/atomic.js'
import type { Disk } from '../../deploy/update/disk.js'
import { currentRelease, readTrial } from '../../deploy/update/journal.js'
import { linkTo, type Layout } from '../../deploy/update/layout.js'

/** The rules of `boot-guard.sh` over a simulated disk; `boot-guard.test.ts` compares the two on a real one. */
export async function guard(disk: Disk, layout: Layout): Promise<void> {
  const trial = await readTrial(disk, layout)
  if (!trial || (await currentRelease(disk, layout)) !== trial.release) return
  const before = new RegExp(`^release=${trial.release} count=(\\d+)$`, 'm').exec((await disk.read(layout.boots))?.toString() ?? '')
  const count = Number(before?.[1] ?? 0) + 1
  if (count <= 3) return writeAtomic(disk, layout.boots, `release=${trial.release} count=${count}\n`)
  if (!(await disk.stat(layout.release(trial.previous)))) return
  await writeAtomic(disk, layout.flipped, `release=${trial.release} reason=it did not stay up in 3 starts\n`)
  await switchLink(disk, layout.current, linkTo(trial.previous))
  await removeDurably(disk, layout.trial)
}
