import { MetaFile, Metadata, MetadataKind, Root, Snapshot, TargetFile, Targets, Timestamp } from '@tufjs/models'
import { Role } from '@tufjs/models/dist/role.js'
import { createHash } from 'node:crypto'
import { mkdir, readFile, readdir, rm } from 'node:fs/promises'
import { dirname, join } from 'node:path'
import { ParleyError, isMissing } from '../../base/errors.js'
import { writeFileAtomic } from '../../base/files.js'
import { targetFile } from '../update/trust.js'
import type { Signer } from './keys.js'

export const ROLES = ['root', 'targets', 'snapshot', 'timestamp'] as const
export type RoleName = (typeof ROLES)[number]
const SPEC = '1.0.31'
/** How long a signature is good, days: the timestamp is renewed by a machine every night, the root by people once a year. */
export const LIFE_DAYS: Readonly<Record<RoleName, number>> = { root: 365, targets: 90, snapshot: 30, timestamp: 7 }

export interface RoleKeys {
  readonly signers: readonly Signer[]
  readonly threshold: number
}

const kinds = { root: MetadataKind.Root, targets: MetadataKind.Targets, snapshot: MetadataKind.Snapshot, timestamp: MetadataKind.Timestamp } as const
type Any = Metadata<Root> | Metadata<Targets> | Metadata<Snapshot> | Metadata<Timestamp>

/** A folder of static files as TUF wants it (consistent snapshots), and `staged/`, which is not yet published. */
export class Repository {
  readonly folder: string
  readonly #wall: () => number

  constructor(folder: string, wall: () => number) {
    this.folder = folder
    this.#wall = wall
  }

  async init(roles: Readonly<Record<RoleName, RoleKeys>>): Promise<void> {
    if (await this.#newest('root').catch(() => undefined)) throw new ParleyError('release-exists', `${this.folder} has a root already`)
    const root = new Root({ ...this.#common('root', 1), consistentSnapshot: true })
    for (const name of ROLES) setRole(root, name, roles[name])
    await this.#put(`metadata/1.root.json`, signed(new Metadata(root), roles.root.signers))
    await this.#stage(new Metadata(new Targets({ ...this.#common('targets', 1), targets: {} })), roles.targets.signers)
  }

  /** New keys for a role. The root itself is signed by the old and the new root keys, so that old devices follow. */
  async rotate(role: RoleName, keys: RoleKeys, rootSigners: readonly Signer[]): Promise<void> {
    const old = await this.#newest('root')
    const version = old.signed.version + 1
    const root = Root.fromJSON({ ...old.signed.toJSON(), version, expires: this.#expiry('root') })
    for (const keyID of root.roles[role]?.keyIDs ?? []) {
      delete root.roles[role]
      if (!Object.values(root.roles).some(r => r.keyIDs.includes(keyID))) delete root.keys[keyID]
    }
    setRole(root, role, keys)
    const next = signed(new Metadata(root), role === 'root' ? unique([...rootSigners, ...keys.signers]) : rootSigners)
    const line = `root ${version} lacks signatures`
    verify(old, 'root', next, line)
    verify(next, 'root', next, line)
    await this.#put(`metadata/${version}.root.json`, next)
    // What the old keys have signed counts no more: without this the next `publish` would give devices a release that they refuse.
    if (role === 'targets' && !(await this.#staged())) await this.#stageNext({})
  }

  /** Adds or replaces one target; the signatures begin anew. Other signers add theirs with `sign`. */
  async setTarget(path: string, bytes: Uint8Array): Promise<void> {
    const sha256 = createHash('sha256').update(bytes).digest('hex')
    await this.#putBytes(targetFile(path, sha256), bytes)
    await this.#stageNext({ [path]: new TargetFile({ path, length: bytes.length, hashes: { sha256 } }) })
  }

  /** The same targets for another `LIFE_DAYS.targets`, to be signed anew: for a vendor who has no news for so long. */
  async renew(): Promise<void> {
    if (!(await this.#staged())) await this.#stageNext({})
  }

  async #stageNext(more: Readonly<Record<string, TargetFile>>): Promise<void> {
    const published = await this.#newest('targets').catch(orUndefined)
    const old = (await this.#staged()) ?? published
    const targets = new Targets({ ...this.#common('targets', (published?.signed.version ?? 0) + 1), targets: { ...old?.signed.targets, ...more } })
    await this.#stage(new Metadata(targets), [])
  }

  async sign(signers: readonly Signer[]): Promise<{ have: number; threshold: number }> {
    const staged = await this.#staged()
    if (!staged) throw new ParleyError('release-nothing', 'there is nothing to sign', { hint: 'parley release build, then sign' })
    await this.#stage(staged, signers)
    const role = (await this.#newest('root')).signed.roles['targets']
    const have = (role?.keyIDs ?? []).filter(id => staged.signatures[id] !== undefined).length
    return { have, threshold: role?.threshold ?? 1 }
  }

  /** The timestamp last: until then a device sees the old release as a whole. `snapshot` and `timestamp` keys may be online. */
  async publish(signers: Readonly<Record<'snapshot' | 'timestamp', readonly Signer[]>>): Promise<void> {
    const root = await this.#newest('root')
    const staged = await this.#staged()
    if (staged) {
      verify(root, 'targets', staged, 'the release lacks signatures')
      await this.#put(`metadata/${staged.signed.version}.targets.json`, staged)
    }
    const targets = await this.#newest('targets')
    verify(root, 'targets', targets, 'the published targets lack signatures of the keys that count now')
    const before = { snapshot: await this.#newest('snapshot').catch(() => undefined), timestamp: await this.#latestTimestamp() }
    const snapshot = new Metadata(new Snapshot({ ...this.#common('snapshot', (before.snapshot?.signed.version ?? 0) + 1), meta: { 'targets.json': meta(targets) } }))
    verify(root, 'snapshot', signed(snapshot, signers.snapshot), 'the snapshot lacks signatures')
    await this.#put(`metadata/${snapshot.signed.version}.snapshot.json`, snapshot)
    const timestamp = new Metadata(new Timestamp({ ...this.#common('timestamp', (before.timestamp?.signed.version ?? 0) + 1), snapshotMeta: meta(snapshot) }))
    verify(root, 'timestamp', signed(timestamp, signers.timestamp), 'the timestamp lacks signatures')
    await this.#put('metadata/timestamp.json', timestamp)
    await rm(join(this.folder, 'staged/targets.json'), { force: true })
  }

  async #staged(): Promise<Metadata<Targets> | undefined> {
    return this.#read('staged/targets.json', 'targets').catch(orUndefined)
  }

  #latestTimestamp(): Promise<Metadata<Timestamp> | undefined> {
    return this.#read('metadata/timestamp.json', 'timestamp').catch(orUndefined)
  }

  async #newest<R extends Exclude<RoleName, 'timestamp'>>(role: R): Promise<ReadOf<R>> {
    const versions = (await readdir(join(this.folder, 'metadata')).catch(() => [])).map(n => Number(new RegExp(`^(\\d+)\\.${role}\\.json$`).exec(n)?.[1] ?? 0))
    return this.#read(`metadata/${Math.max(0, ...versions)}.${role}.json`, role)
  }

  async #read<R extends RoleName>(path: string, role: R): Promise<ReadOf<R>> {
    return Metadata.fromJSON(kinds[role] as MetadataKind.Root, JSON.parse(await readFile(join(this.folder, path), 'utf8'))) as unknown as ReadOf<R>
  }

  async #stage(targets: Metadata<Targets>, signers: readonly Signer[]): Promise<void> {
    await this.#put('staged/targets.json', signed(targets, signers))
  }

  #put(path: string, metadata: Any): Promise<void> {
    return this.#putBytes(path, Buffer.from(encode(metadata)))
  }

  async #putBytes(path: string, bytes: Uint8Array): Promise<void> {
    await mkdir(dirname(join(this.folder, path)), { recursive: true })
    await writeFileAtomic(join(this.folder, path), bytes)
  }

  #expiry(role: RoleName): string {
    return new Date(this.#wall() + LIFE_DAYS[role] * 86_400_000).toISOString().replace(/\.\d+Z$/, 'Z')
  }

  #common(role: RoleName, version: number): { version: number; specVersion: string; expires: string } {
    return { version, specVersion: SPEC, expires: this.#expiry(role) }
  }
}

type ReadOf<R extends RoleName> = Metadata<R extends 'root' ? Root : R extends 'targets' ? Targets : R extends 'snapshot' ? Snapshot : Timestamp>

const encode = (metadata: Any): string => `${JSON.stringify(metadata.toJSON(), undefined, 1)}\n`
const unique = (signers: readonly Signer[]): Signer[] => [...new Map(signers.map(s => [s.key.keyID, s])).values()]

function orUndefined(error: unknown): undefined {
  if (isMissing(error)) return undefined
  throw error
}

function setRole(root: Root, name: RoleName, { signers, threshold }: RoleKeys): void {
  if (threshold < 1 || threshold > signers.length) throw new ParleyError('release-threshold', `${name}: ${threshold} of ${signers.length} keys cannot sign`)
  root.roles[name] = new Role({ keyIDs: [], threshold })
  for (const signer of signers) root.addKey(signer.key, name)
}

function signed<M extends Any>(metadata: M, signers: readonly Signer[]): M {
  for (const signer of signers) metadata.sign(signer.sign, true)
  return metadata
}

function verify(root: Metadata<Root>, role: RoleName, metadata: Any, what: string): void {
  try {
    root.verifyDelegate(role, metadata as Metadata<Root>)
  } catch (cause) {
    throw new ParleyError('release-unsigned', `${what}: ${cause instanceof Error ? cause.message : String(cause)}`, { cause, hint: 'parley release sign adds the signature of a key' })
  }
}

function meta(of: Any): MetaFile {
  const bytes = Buffer.from(encode(of))
  return new MetaFile({ version: of.signed.version, length: bytes.length, hashes: { sha256: createHash('sha256').update(bytes).digest('hex') } })
}
