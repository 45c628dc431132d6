import { readFile, readdir } from 'node:fs/promises'
import { join } from 'node:path'
import type { Test } from 'tap'
import { systemCode } from '../../base/errors.js'
import type { Disk } from '../../deploy/update/disk.js'
import type { Layout } from '../../deploy/update/layout.js'
import { TimeFloor } from '../../deploy/update/time-floor.js'
import { Trust } from '../../deploy/update/trust.js'
import { MemorySource, type Made } from './kit.js'
import { CHANNEL, DAY, Vendor, never } from './tuf-kit.js'

/** What the vendor's server showed at one time. */
export interface SignedState {
  readonly files: ReadonlyMap<string, Buffer>
  /** When it was published, Unix ms; its timestamp is good for 7 days. */
  readonly at: number
  readonly versions: Versions
}
/** Of root, timestamp, snapshot and targets. */
type Versions = readonly number[]

/**
 * Three states of one vendor: the old release; the new one a day later; and nine days later, when the second's timestamp has
 * expired, the new one signed again after the key of the timestamp was changed.
 */
export async function signedStates(t: Test, old: Made, next: Made, from: number): Promise<SignedState[]> {
  const vendor = await Vendor.open(t, from)
  const seen = async (...versions: Versions): Promise<SignedState> => ({ files: await published(vendor.path('')), at: vendor.wall, versions })
  await vendor.release(old.manifest.toString())
  const first = await seen(1, 1, 1, 1)
  vendor.wall += DAY
  await vendor.release(next.manifest.toString())
  const second = await seen(1, 2, 2, 2)
  vendor.wall += 9 * DAY
  await vendor.repository.rotate('timestamp', { signers: vendor.named('targets2'), threshold: 1 }, vendor.named('a', 'b'))
  await vendor.repository.renew()
  await vendor.repository.sign(vendor.named('targets'))
  await vendor.repository.publish({ snapshot: vendor.named('snapshot'), timestamp: vendor.named('targets2') })
  return [first, second, await seen(2, 3, 3, 3)]
}

async function published(folder: string): Promise<Map<string, Buffer>> {
  const files = new Map<string, Buffer>()
  for (const part of ['metadata', 'targets']) {
    for (const entry of await readdir(join(folder, part), { recursive: true, withFileTypes: true })) {
      if (!entry.isFile()) continue
      const path = join(entry.parentPath, entry.name)
      files.set(path.slice(folder.length).replace(/^\//, ''), await readFile(path))
    }
  }
  return files
}

/**
 * What a device believes, with the real `Trust` and `TimeFloor` on its disk, as the updater's host asks them; and what it once was
 * told for good, which no stop may take back.
 */
export class SignedTrust {
  readonly source: MemorySource
  /** What the server shows. */
  shown: SignedState
  /** What the device's clock says, and whether a time server has set it. */
  wall: number
  synchronised = true
  #known: Versions = [0, 0, 0, 0]
  #floor = 0

  constructor(readonly disk: Disk, readonly layout: Layout, readonly states: readonly SignedState[], ...releases: readonly Made[]) {
    this.source = new MemorySource(...releases)
    this.shown = states[0] as SignedState
    this.wall = this.shown.at
    this.show(0)
  }

  /** From now on the server shows this one. */
  show(index: number, afterMs = 0): void {
    for (const path of this.source.files.keys()) if (!path.startsWith('blobs/')) this.source.files.delete(path)
    this.shown = this.states[index] as SignedState
    for (const [path, bytes] of this.shown.files) this.source.files.set(path, bytes)
    this.wall = this.shown.at + afterMs
  }

  get #floorFile(): TimeFloor {
    return new TimeFloor(this.disk, this.layout.timeFloor)
  }

  get #trust(): Trust {
    return new Trust(this.disk, this.layout.trusted, async () => this.states[0]?.files.get('metadata/1.root.json') as Buffer)
  }

  async manifest(): Promise<Buffer> {
    const now = await this.#floorFile.now(this.wall)
    const bytes = await this.#trust.target(CHANNEL, this.source, now, never).catch(async error => {
      if (systemCode(error) === 'update-refused') await this.#note() // a newer root holds also then
      throw error
    })
    if (this.#wanted(now.getTime()) === 'refused') throw new Error(`versions ${this.shown.versions} were taken, ${this.#known} are known; its time was ${now.toISOString()}`)
    await this.#note()
    await this.#floorFile.raise(this.wall, this.synchronised)
    if (this.synchronised) this.#floor = Math.max(this.#floor, this.wall)
    return bytes
  }

  async stale(): Promise<string | undefined> {
    const until = await this.#trust.goodUntil()
    return until !== undefined && until > (await this.#floorFile.now(this.wall)).getTime() ? undefined : 'newer signatures'
  }

  /** What is shown is older than what is known, or has expired. */
  #wanted(now: number): 'taken' | 'refused' {
    return this.shown.versions.some((v, i) => v < (this.#known[i] ?? 0)) || now > this.shown.at + 7 * DAY ? 'refused' : 'taken'
  }

  async #note(): Promise<void> {
    const stored = await this.stored()
    this.#known = this.#known.map((v, i) => Math.max(v, stored[i] ?? 0))
  }

  /** Versions on the disk; throws on a torn file. */
  async stored(): Promise<Versions> {
    const bytes = await this.disk.read(this.layout.trusted)
    const saved = bytes ? (JSON.parse(bytes.toString()) as Record<string, string>) : {}
    return ['root', 'timestamp', 'snapshot', 'targets'].map(role => (saved[role] === undefined ? 0 : (JSON.parse(saved[role]) as { signed: { version: number } }).signed.version))
  }

  /** What must hold whenever the power comes back. */
  async broken(): Promise<string | undefined> {
    const stored = await this.stored().catch(() => 'a torn file')
    if (typeof stored === 'string' || stored.some((v, i) => v < (this.#known[i] ?? 0))) return `its trust went from ${this.#known} to ${stored}`
    const floor = (await this.#floorFile.now(0)).getTime()
    return floor < this.#floor ? `its time went from ${this.#floor} to ${floor}` : undefined
  }

  /** Once it has seen the last state: the earlier ones, and the last one for ever, are refused, also with a clock that was set back. */
  async attacked(): Promise<string | undefined> {
    const newest = this.states.length - 1
    for (const [index, afterMs] of [[0, 0], [1, 0], [newest, 8 * DAY]] as const) {
      this.show(index, afterMs)
      const taken = await this.manifest().then(() => 'was taken', error => (systemCode(error) === 'update-refused' ? undefined : String(error)))
      if (taken !== undefined) return `state ${index + 1} after ${afterMs / DAY} days ${taken}`
    }
    // What it last knew to be the time is later than the second state is good for: somebody who starts its trust anew does not get far.
    this.show(1)
    const anew = new Trust(this.disk, `${this.layout.trusted}.anew`, async () => this.states[0]?.files.get('metadata/1.root.json') as Buffer)
    const frozen = await anew.target(CHANNEL, this.source, await this.#floorFile.now(this.wall), never).then(() => 'was taken', error => (systemCode(error) === 'update-refused' ? undefined : String(error)))
    this.show(newest)
    return frozen === undefined ? undefined : `an expired state ${frozen} with a clock that was set back`
  }
}
