import { createHash } from 'node:crypto'
import { createReadStream, type Stats } from 'node:fs'
import { mkdir, readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { cacheFolder } from './cache-folder.js'
import { writeFileAtomic } from './files.js'

/** Old entries go when there are more: a device sees tens of bundles in its life. */
const MAX_ENTRIES = 2_000

/** Remembers which file (by path, size, times and inode) had which hash, so that only the first start reads all bytes. */
export class HashCache {
  readonly #path: string
  #known = new Map<string, string>()
  #changed = false

  constructor(folder = cacheFolder()) {
    this.#path = join(folder, 'hashes.json')
  }

  async open(): Promise<void> {
    try {
      const data: unknown = JSON.parse(await readFile(this.#path, 'utf8'))
      if (typeof data !== 'object' || data === null) return
      for (const [key, hash] of Object.entries(data)) if (typeof hash === 'string') this.#known.set(key, hash)
    } catch {
      this.#known.clear() // none yet, or spoilt: everything is hashed again
    }
  }

  get(path: string, stat: Stats): string | undefined {
    return this.#known.get(keyOf(path, stat))
  }

  set(path: string, stat: Stats, hash: string): void {
    this.#known.set(keyOf(path, stat), hash)
    this.#changed = true
  }

  /** A cache that cannot be written (read-only home, full disk) costs time, not the start. */
  async save(): Promise<void> {
    if (!this.#changed) return
    const kept = [...this.#known].slice(-MAX_ENTRIES)
    try {
      await mkdir(join(this.#path, '..'), { recursive: true })
      await writeFileAtomic(this.#path, JSON.stringify(Object.fromEntries(kept)), 0o600)
      this.#changed = false
    } catch {
      return
    }
  }
}

/** The change time is in it: a file swapped with its old date set back is read again. */
function keyOf(path: string, stat: Stats): string {
  return [path, stat.size, stat.mtimeMs, stat.ctimeMs, stat.ino].join('|')
}

export async function sha256Of(path: string): Promise<string> {
  const hash = createHash('sha256')
  for await (const chunk of createReadStream(path, { highWaterMark: 1 << 20 })) hash.update(chunk as Buffer)
  return hash.digest('hex')
}
