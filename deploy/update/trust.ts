import { MetadataKind } from '@tufjs/models'
import { EqualVersionError } from 'tuf-js/dist/error.js'
import { TrustedMetadataStore } from 'tuf-js/dist/store.js'
import { createHash } from 'node:crypto'
import { z } from 'zod'
import { ParleyError, systemCode } from '../../base/errors.js'
import { writeAtomic } from './atomic.js'
import type { Disk } from './disk.js'
import { fetchSmall, type Source } from './source.js'

/** Limits of tuf-js, bytes: an endless file must not fill the memory. */
const LIMIT = { root: 512_000, timestamp: 16_384, snapshot: 2_000_000, targets: 5_000_000, manifest: 1_000_000 } as const
const MAX_ROTATIONS = 256

/** All that is trusted, in one file: replaced as a whole, so that a cut cannot mix an old role with a new one. */
const saved = z.object({ root: z.string(), timestamp: z.string().optional(), snapshot: z.string().optional(), targets: z.string().optional() })
type Saved = z.infer<typeof saved>
type Role = keyof Saved
const expiry = z.object({ signed: z.object({ expires: z.string() }) })

const refused = (what: string, cause: unknown): ParleyError =>
  new ParleyError('update-refused', `${what} was refused: ${cause instanceof Error ? cause.message : String(cause)}`, { cause, hint: 'Somebody or something has changed what was signed, or it is out of date. Nothing was installed' })

/**
 * The client workflow of TUF 1.0.31, 5.2 to 5.7, over tuf-js' verified store. tuf-js' own `Updater` writes each role in place
 * and takes the time from the system; on a device that loses power and its clock, neither will do.
 */
export class Trust {
  readonly #disk: Disk
  readonly #path: string
  readonly #firstRoot: () => Promise<Buffer>

  /** `firstRoot`: the root that came with the installation; asked for only when nothing is saved. */
  constructor(disk: Disk, path: string, firstRoot: () => Promise<Buffer>) {
    this.#disk = disk
    this.#path = path
    this.#firstRoot = firstRoot
  }

  /** The signed bytes of `path` as they are now. `now`: the time floor or the clock, whichever is later. */
  async target(path: string, source: Source, now: Date, signal: AbortSignal): Promise<Buffer> {
    const { store, found, keep } = await this.#open(now)
    try {
      await this.#roots(store, found, source, signal)
      await this.#role(store, found, 'timestamp', source, now, signal)
      await this.#role(store, found, 'snapshot', source, now, signal)
      await this.#role(store, found, 'targets', source, now, signal)
    } finally {
      // Also when it was refused: a newer root that withdraws a key must hold from now on.
      await keep()
    }
    const info = store.targets?.signed.targets[path]
    if (!info) throw new ParleyError('update-missing', `there is no release ${path}`)
    const sha256 = info.hashes['sha256']
    if (sha256 === undefined) throw refused(path, 'it has no SHA-256')
    const bytes = await fetchSmall(source, targetFile(path, sha256), Math.min(info.length, LIMIT.manifest), signal)
    if (bytes.length !== info.length || createHash('sha256').update(bytes).digest('hex') !== sha256) throw refused(path, 'it is not what was signed')
    return bytes
  }

  /** When the first of the signatures that were seen last runs out, Unix ms; undefined: none were seen. */
  async goodUntil(): Promise<number | undefined> {
    const found = parseSaved(await this.#disk.read(this.#path))
    if (!found?.timestamp || !found.snapshot || !found.targets) return undefined
    return Math.min(...[found.root, found.timestamp, found.snapshot, found.targets].map(text => Date.parse(expiry.parse(JSON.parse(text)).signed.expires)))
  }

  async #open(now: Date): Promise<{ store: TrustedMetadataStore; found: Saved; keep: () => Promise<void> }> {
    const before = parseSaved(await this.#disk.read(this.#path))
    // A copy: what is compared with `before` must not be `before`.
    const found: Saved = { ...(before ?? { root: (await this.#firstRoot()).toString('utf8') }) }
    const store = new TrustedMetadataStore(Buffer.from(found.root))
    // tuf-js takes the time from the system when it is made; a test proves that this reaches it (`trust.test.ts`).
    ;(store as unknown as { referenceTime: Date }).referenceTime = now
    const keep = async (): Promise<void> => {
      const text = JSON.stringify(found)
      if (text !== JSON.stringify(before)) await writeAtomic(this.#disk, this.#path, text)
    }
    return { store, found, keep }
  }

  /** 5.3: every root since ours, one by one, each signed by the one before it. */
  async #roots(store: TrustedMetadataStore, found: Saved, source: Source, signal: AbortSignal): Promise<void> {
    for (let i = 0; i < MAX_ROTATIONS; i++) {
      const version = store.root.signed.version + 1
      const bytes = await fetchSmall(source, `metadata/${version}.root.json`, LIMIT.root, signal).catch(error => {
        if (systemCode(error) === 'update-missing') return undefined
        throw error
      })
      if (!bytes) return
      try {
        store.updateRoot(bytes)
      } catch (cause) {
        throw refused(`root ${version}`, cause)
      }
      found.root = bytes.toString('utf8')
    }
  }

  /** 5.4 to 5.6. What is saved is shown to the store first, so that it knows what must not go back. */
  async #role(store: TrustedMetadataStore, found: Saved, role: Exclude<Role, 'root'>, source: Source, now: Date, signal: AbortSignal): Promise<void> {
    const old = found[role]
    if (old !== undefined) {
      try {
        update(store, role, Buffer.from(old), true)
        if (role !== 'timestamp') return // still the one that the newer role names
      } catch {
        // Out of date or signed by a key that was withdrawn: the store keeps its version as the least one, or forgets it.
      }
    }
    const version = { timestamp: () => undefined, snapshot: () => store.timestamp?.signed.snapshotMeta.version, targets: () => store.snapshot?.signed.meta['targets.json']?.version }[role]()
    const file = role === 'timestamp' ? 'timestamp.json' : `${version ?? 0}.${role}.json`
    const bytes = await fetchSmall(source, `metadata/${file}`, LIMIT[role], signal)
    try {
      update(store, role, bytes, false)
    } catch (cause) {
      // The same version once more is no news (5.4.3.1) and no fault, unless it has expired: then somebody keeps us from the news.
      if (cause instanceof EqualVersionError && !store.timestamp?.signed.isExpired(now)) return
      throw refused(`${role}${version === undefined ? '' : ` ${version}`}`, cause instanceof EqualVersionError ? new Error('timestamp.json has expired', { cause }) : cause)
    }
    found[role] = bytes.toString('utf8')
  }
}

function update(store: TrustedMetadataStore, role: Exclude<Role, 'root'>, bytes: Buffer, trusted: boolean): void {
  if (role === 'timestamp') store.updateTimestamp(bytes)
  else if (role === 'snapshot') store.updateSnapshot(bytes, trusted)
  else store.updateDelegatedTargets(bytes, MetadataKind.Targets, MetadataKind.Root)
}

function parseSaved(bytes: Buffer | undefined): Saved | undefined {
  if (!bytes) return undefined
  try {
    return saved.parse(JSON.parse(bytes.toString('utf8')))
  } catch (cause) {
    throw new ParleyError('update-trust', 'the saved trust is damaged', { cause, hint: 'Install again with deploy/install.sh; what you set up stays' })
  }
}

/** A target's file carries its hash in its name, so that a server's caches cannot mix versions. */
export function targetFile(path: string, sha256: string): string {
  const cut = path.lastIndexOf('/') + 1
  return `targets/${path.slice(0, cut)}${sha256}.${path.slice(cut)}`
}
