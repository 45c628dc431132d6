import { readdir, rm, stat } from 'node:fs/promises'
import { join } from 'node:path'

/** A temporary file this old, ms, was left by a power cut. */
const STALE_MS = 60_000

/** Removes from a folder of what can be made again all but the `count` newest files with this suffix, and temporary files that nobody finishes. */
export async function keepNewest(folder: string, suffix: string, count: number): Promise<void> {
  const files = await Promise.all((await readdir(folder)).map(async name => {
    const path = join(folder, name)
    return { name, path, mtimeMs: (await stat(path)).mtimeMs }
  }))
  const entries = files.filter(f => f.name.endsWith(suffix)).sort((a, b) => b.mtimeMs - a.mtimeMs)
  const left = files.filter(f => f.name.endsWith('.tmp') && Date.now() - f.mtimeMs > STALE_MS)
  await Promise.all([...entries.slice(count), ...left].map(f => rm(f.path, { force: true })))
}
