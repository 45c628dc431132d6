import { createHash } from 'node:crypto'
import { join } from 'node:path'
import { ParleyError } from '../../base/errors.js'
import { removeDurably } from './atomic.js'
import type { Disk } from './disk.js'
import type { Source } from './source.js'

/** So much may be lost to a power cut and is fetched again, bytes. Each sync costs a flash card some 10 ms. */
const SYNC_EVERY = 8 << 20

export interface BlobId {
  readonly sha256: string
  readonly bytes: number
}

/** Files named by the hash of their content. A name is given only to what was checked; `.part` files are not checked. */
export class Store {
  readonly #disk: Disk
  readonly #folder: string

  constructor(disk: Disk, folder: string) {
    this.#disk = disk
    this.#folder = folder
  }

  path(sha256: string): string {
    return join(this.#folder, sha256)
  }

  /** There, with the length that it must have. */
  async has({ sha256, bytes }: BlobId): Promise<boolean> {
    return (await this.#disk.stat(this.path(sha256)))?.bytes === bytes
  }

  /** Bytes that are here already, whole or in part. */
  async have(blob: BlobId): Promise<number> {
    if (await this.has(blob)) return blob.bytes
    return (await this.#disk.stat(`${this.path(blob.sha256)}.part`))?.bytes ?? 0
  }

  /** Fetches what is missing, from where the last try ended. */
  async fetch(blob: BlobId, source: Source, signal: AbortSignal, onBytes: (bytes: number) => void = () => {}): Promise<void> {
    if (await this.has(blob)) return
    await this.#disk.makeFolder(this.#folder)
    const part = `${this.path(blob.sha256)}.part`
    const resumed = (await this.#disk.stat(part)) !== undefined
    if (await this.#complete(blob, part, source, signal, onBytes)) return
    // What a power cut left in the part may be zeros. Once more, all of it; if that is wrong too, the source is.
    if (!resumed || !(await this.#complete(blob, part, source, signal, onBytes)))
      throw new ParleyError('update-tampered', `${blob.sha256.slice(0, 12)} from ${source.name} is not what was signed`, { hint: 'It was damaged or changed on the way. Try another source' })
  }

  async #complete(blob: BlobId, part: string, source: Source, signal: AbortSignal, onBytes: (bytes: number) => void): Promise<boolean> {
    let at = (await this.#disk.stat(part))?.bytes
    if (at === undefined || at > blob.bytes) {
      await this.#disk.create(part)
      at = 0
    }
    if (at < blob.bytes) {
      const opened = await source.open(`blobs/${blob.sha256}`, at, signal)
      if (opened.from !== at) {
        if (opened.from !== 0) throw new ParleyError('update-http', `${source.name} gave bytes from ${opened.from}, asked for ${at}`)
        await this.#disk.create(part)
        at = 0
      }
      let unsynced = 0
      for await (const chunk of opened.chunks) {
        at += chunk.length
        if (at > blob.bytes) break // an endless file must not fill the disk
        await this.#disk.append(part, chunk)
        onBytes(chunk.length)
        unsynced += chunk.length
        if (unsynced >= SYNC_EVERY) {
          await this.#disk.syncFile(part)
          unsynced = 0
        }
      }
      if (at < blob.bytes) throw new ParleyError('update-short', `${source.name} ended after ${at} of ${blob.bytes} bytes`, { hint: 'The next try goes on from there' })
    }
    if (at === blob.bytes && (await this.hashOf(part)) === blob.sha256) {
      await this.#disk.syncFile(part)
      await this.#disk.rename(part, this.path(blob.sha256))
      await this.#disk.syncFolder(this.#folder)
      return true
    }
    await removeDurably(this.#disk, part)
    return false
  }

  async hashOf(path: string): Promise<string> {
    const hash = createHash('sha256')
    for await (const chunk of this.#disk.chunks(path)) hash.update(chunk)
    return hash.digest('hex')
  }

  /** Removes all but these. */
  async keep(hashes: ReadonlySet<string>): Promise<void> {
    for (const name of await this.#disk.list(this.#folder)) if (!hashes.has(name)) await this.#disk.remove(join(this.#folder, name))
  }
}
