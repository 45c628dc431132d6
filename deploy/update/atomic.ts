import { basename, dirname, join } from 'node:path'
import type { Disk } from './disk.js'

/**
 * Replaces a file: a power cut leaves the old or the new content. The temp name is fixed: one updater at a time, and what a
 * cut left behind is overwritten by the next try instead of piling up.
 */
export async function writeAtomic(disk: Disk, path: string, data: string | Uint8Array, mode?: number): Promise<void> {
  const temp = join(dirname(path), `.${basename(path)}.new`)
  await disk.create(temp, mode)
  await disk.append(temp, typeof data === 'string' ? Buffer.from(data) : data)
  await disk.syncFile(temp)
  await disk.rename(temp, path)
  await disk.syncFolder(dirname(path))
}

/** Points a link elsewhere in one step. `rm` and then `ln` would leave a moment, and after a cut perhaps a device, without it. */
export async function switchLink(disk: Disk, path: string, target: string): Promise<void> {
  const temp = join(dirname(path), `.${basename(path)}.new`)
  await disk.remove(temp)
  await disk.symlink(target, temp)
  await disk.rename(temp, path)
  await disk.syncFolder(dirname(path))
}

/** A removal that has happened for good when this resolves. */
export async function removeDurably(disk: Disk, path: string): Promise<void> {
  if (!(await disk.stat(path))) return
  await disk.remove(path)
  await disk.syncFolder(dirname(path))
}
