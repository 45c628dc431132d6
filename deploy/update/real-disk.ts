import { appendFile, lstat, mkdir, open, readFile, readdir, readlink, rename, rm, statfs, symlink } from 'node:fs/promises'
import { createReadStream } from 'node:fs'
import { dirname } from 'node:path'
import { isMissing, systemCode } from '../../base/errors.js'
import { syncFolder } from '../../base/files.js'
import type { Disk } from './disk.js'

/** Large enough that a hash is not slowed by it, small enough for a device with little memory, bytes. */
const CHUNK = 1 << 20

async function orMissing<T>(work: Promise<T>): Promise<T | undefined> {
  try {
    return await work
  } catch (error) {
    if (isMissing(error) || systemCode(error) === 'ENOTDIR') return undefined
    throw error
  }
}

export const realDisk: Disk = {
  read: path => orMissing(readFile(path)),
  chunks: path => createReadStream(path, { highWaterMark: CHUNK }),
  list: async path => ((await orMissing(readdir(path))) ?? []).sort(),
  stat: async path => {
    const found = await orMissing(lstat(path))
    if (!found) return undefined
    return { kind: found.isSymbolicLink() ? 'link' : found.isDirectory() ? 'folder' : 'file', bytes: found.size }
  },
  makeFolder: async path => void (await mkdir(path, { recursive: true })),
  create: async (path, mode = 0o644) => {
    const file = await open(path, 'w', mode)
    // `open` gives the mode to a new file only, and less the umask.
    await file.chmod(mode).finally(() => file.close())
  },
  append: (path, bytes) => appendFile(path, bytes),
  symlink: (target, path) => symlink(target, path),
  readLink: path => orMissing(readlink(path)),
  rename: (from, to) => rename(from, to),
  remove: path => rm(path, { recursive: true, force: true }),
  syncFile: async path => {
    const file = await open(path, 'r')
    await file.sync().finally(() => file.close())
  },
  syncFolder,
  freeBytes: async path => {
    for (let at = path; ; at = dirname(at)) {
      const found = await orMissing(statfs(at))
      if (found) return found.bavail * found.bsize
      if (at === dirname(at)) throw new Error(`no file system holds ${path}`)
    }
  },
}
