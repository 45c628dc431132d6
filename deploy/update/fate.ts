import { currentRelease, readJournal, readTrial, type State } from './journal.js'
import type { Disk } from './disk.js'
import type { Layout } from './layout.js'

/** What became of a release on this device. */
export type Fate = { readonly is: 'succeeded' } | { readonly is: 'failed'; readonly reason: string } | { readonly is: 'under-way'; readonly state: State }

/** From what is on the disk for good, so that it is the same after any restart. */
export async function fateOf(disk: Disk, layout: Layout, release: string | undefined): Promise<Fate> {
  const line = await readJournal(disk, layout)
  if (line.state !== 'idle' && line.wanted.hash === release) return { is: 'under-way', state: line.state }
  const failed = line.failed.find(f => f.hash === release)
  if (failed) return { is: 'failed', reason: failed.reason }
  const settled = line.state === 'idle' && (await readTrial(disk, layout)) === undefined
  return settled && release !== undefined && (await currentRelease(disk, layout)) === release ? { is: 'succeeded' } : { is: 'under-way', state: line.state }
}
