import { createHash, randomBytes } from 'node:crypto'
import { mkdir, open, readFile, rename, rm, stat, writeFile } from 'node:fs/promises'
import { cpus } from 'node:os'
import { join } from 'node:path'
import { isThere, syncFolder } from '../../base/files.js'
import { HashCache } from '../../base/hash-cache.js'
import { keepNewest } from '../../base/keep-newest.js'

/** This bundle's, and that of the one before or after it. */
const MAX_ENTRIES = 2
const SUFFIX = '.onnx'
/** Beside the name of one that ONNX Runtime wrote and cannot read again: it is not tried a second time. */
const UNUSABLE = '.unusable'

/** Where a graph is kept as ONNX Runtime has rewritten it. */
export interface Keep {
  readonly folder: string
  /** sha256 of the graph's file. */
  readonly sha256: string
}

/** How a file is to be loaded: `write` has the rewritten graph written there. */
export interface Load {
  readonly file: string
  readonly rewritten: boolean
  readonly write?: string
}

/**
 * A graph as ONNX Runtime has rewritten it for this processor. Rewriting is three quarters of loading the graph of pico (figures:
 * docs/adr/0056), and its result is the same at each start. `tiedTo`: what it hangs on beside the graph and the processor. One that
 * was changed is made anew; one that cannot be loaded is removed and not made again; a folder that cannot be read or written costs time and nothing else.
 */
export class PreparedGraph {
  readonly #keep: Keep
  readonly #tiedTo: string

  constructor(keep: Keep, tiedTo: string) {
    this.#keep = keep
    this.#tiedTo = tiedTo
  }

  async open<T>(graph: string, create: (load: Load) => Promise<T>): Promise<T> {
    const path = join(this.#keep.folder, `${createHash('sha256').update(JSON.stringify([this.#keep.sha256, this.#tiedTo, await processor()])).digest('hex')}${SUFFIX}`)
    const made = new HashCache(this.#keep.folder)
    await made.open()
    const unusable = path.replace(SUFFIX, UNUSABLE)
    if (await isThere(unusable)) return create({ file: graph, rewritten: false })
    const info = await stat(path).catch(() => undefined)
    if (info && made.get(path, info) === this.#keep.sha256) {
      try {
        return await create({ file: path, rewritten: true })
      } catch {
        await rm(path, { force: true }).catch(() => {})
        await writeFile(unusable, '').then(() => keepNewest(this.#keep.folder, UNUSABLE, MAX_ENTRIES)).catch(() => {})
        return create({ file: graph, rewritten: false })
      }
    }
    const temporary = join(this.#keep.folder, `.${randomBytes(6).toString('hex')}.tmp`)
    try {
      await mkdir(this.#keep.folder, { recursive: true, mode: 0o700 })
      const loaded = await create({ file: graph, rewritten: false, write: temporary })
      // Not waited for: what a card takes to write it, nobody should wait for a voice.
      void this.#settle(temporary, path, made).catch(() => rm(temporary, { force: true })).catch(() => {})
      return loaded
    } catch {
      await rm(temporary, { force: true }).catch(() => {})
      return create({ file: graph, rewritten: false }) // if it was not the writing, this says what it was
    }
  }

  /** Whole on the disk, or not there under its name. */
  async #settle(temporary: string, path: string, made: HashCache): Promise<void> {
    const file = await open(temporary, 'r')
    try {
      await file.sync()
    } finally {
      await file.close()
    }
    await rename(temporary, path)
    await syncFolder(this.#keep.folder)
    made.set(path, await stat(path), this.#keep.sha256)
    await made.save()
    await keepNewest(this.#keep.folder, SUFFIX, MAX_ENTRIES)
  }
}

/** What the rewritten graph is made for: of the same model name one machine has instructions that another, virtual, one hides. */
async function processor(): Promise<string> {
  const info = await readFile('/proc/cpuinfo', 'utf8').catch(() => '')
  const [features = ''] = /^(flags|Features)\s*:.*$/m.exec(info) ?? []
  return [process.arch, cpus()[0]?.model ?? '', features].join('|')
}
