import { posix } from 'node:path'
import type { Disk, Entry } from '../../deploy/update/disk.js'

/** What the simulated machine throws once its power is gone. */
export class PowerCut extends Error {}

type Inode =
  | { kind: 'file'; now: Buffer; safe: Buffer }
  | { kind: 'link'; target: string }
  | { kind: 'folder'; now: Map<string, Inode>; safe: Map<string, Inode>; pending: Change[] }
type Folder = Extract<Inode, { kind: 'folder' }>
/** One step of a folder that a journal writes as one: all its names change, or none. */
type Change = readonly (readonly [string, Inode | undefined])[]

const folder = (): Folder => ({ kind: 'folder', now: new Map(), safe: new Map(), pending: [] })

/**
 * A disk that forgets. What was written and not synced is, after a cut, there, gone, cut short or zeros, and a new name may be
 * there while an older change of the same folder is not: less than any real file system promises.
 */
export class SimDisk implements Disk {
  #root = folder()
  #random: () => number
  #left = Infinity
  /** Steps done so far: the points at which it can be stopped. */
  steps = 0
  free = 1e9

  constructor(random: () => number) {
    this.#random = random
  }

  /** Stops after so many more steps. */
  stopAfter(steps: number): void {
    this.#left = steps
  }

  /** kill −9: the process is gone, what the kernel holds stays. Power cut: the un-synced is lost. */
  restart(how: 'kill' | 'cut'): void {
    this.#left = Infinity
    if (how === 'cut') this.#lose(this.#root)
  }

  #lose(at: Folder): void {
    for (const change of at.pending) if (this.#random() < 0.5) for (const [name, inode] of change) set(at.safe, name, inode)
    at.pending = []
    at.now = new Map(at.safe)
    for (const inode of at.now.values()) {
      if (inode.kind === 'folder') this.#lose(inode)
      if (inode.kind === 'file' && inode.now !== inode.safe) {
        const dice = Math.floor(this.#random() * 4)
        const cut = inode.now.subarray(0, Math.floor(this.#random() * (inode.now.length + 1)))
        inode.safe = [inode.safe, inode.now, cut, Buffer.alloc(inode.now.length)][dice] ?? inode.safe
        inode.now = inode.safe
      }
    }
  }

  #step(): void {
    if (this.#left <= 0) throw new PowerCut('the machine has stopped')
    this.#left--
    this.steps++
  }

  #find(path: string, follow = 0): Inode | undefined {
    let at: Inode = this.#root
    const parts = posix.normalize(path).split('/').filter(Boolean)
    for (const [i, name] of parts.entries()) {
      if (at.kind !== 'folder') return undefined
      const next: Inode | undefined = at.now.get(name)
      if (!next) return undefined
      if (next.kind === 'link' && i < parts.length - 1) {
        if (follow > 8) return undefined
        return this.#find(posix.join('/', ...parts.slice(0, i), next.target, ...parts.slice(i + 1)), follow + 1)
      }
      at = next
    }
    return at
  }

  #parent(path: string): Folder {
    const found = this.#find(posix.dirname(path))
    if (found?.kind !== 'folder') throw Object.assign(new Error(`no folder for ${path}`), { code: 'ENOENT' })
    return found
  }

  #change(at: Folder, change: Change): void {
    for (const [name, inode] of change) set(at.now, name, inode)
    at.pending.push(change)
  }

  async read(path: string): Promise<Buffer | undefined> {
    const found = this.#find(path)
    return found?.kind === 'file' ? found.now : undefined
  }

  async *chunks(path: string): AsyncGenerator<Buffer> {
    const bytes = await this.read(path)
    if (!bytes) throw Object.assign(new Error(`${path} is missing`), { code: 'ENOENT' })
    for (let at = 0; at < bytes.length; at += 700) yield bytes.subarray(at, at + 700)
  }

  async list(path: string): Promise<string[]> {
    const found = this.#find(path)
    return found?.kind === 'folder' ? [...found.now.keys()].sort() : []
  }

  async stat(path: string): Promise<Entry | undefined> {
    const found = this.#find(path)
    return found && { kind: found.kind, bytes: found.kind === 'file' ? found.now.length : 0 }
  }

  async makeFolder(path: string): Promise<void> {
    for (let at = posix.normalize(path), missing: string[] = []; ; at = posix.dirname(at)) {
      if (!this.#find(at)) {
        missing.unshift(at)
        continue
      }
      for (const each of missing) {
        this.#step()
        this.#change(this.#parent(each), [[posix.basename(each), folder()]])
      }
      return
    }
  }

  async create(path: string): Promise<void> {
    this.#step()
    const old = this.#find(path)
    if (old?.kind === 'file') old.now = Buffer.alloc(0)
    else this.#change(this.#parent(path), [[posix.basename(path), { kind: 'file', now: Buffer.alloc(0), safe: Buffer.alloc(0) }]])
  }

  async append(path: string, bytes: Uint8Array): Promise<void> {
    this.#step()
    const found = this.#find(path)
    if (found?.kind !== 'file') throw Object.assign(new Error(`${path} is missing`), { code: 'ENOENT' })
    found.now = Buffer.concat([found.now, bytes])
  }

  async symlink(target: string, path: string): Promise<void> {
    this.#step()
    this.#change(this.#parent(path), [[posix.basename(path), { kind: 'link', target }]])
  }

  async readLink(path: string): Promise<string | undefined> {
    const found = this.#find(path)
    return found?.kind === 'link' ? found.target : undefined
  }

  async rename(from: string, to: string): Promise<void> {
    this.#step()
    const [a, b, inode] = [this.#parent(from), this.#parent(to), this.#find(from)]
    if (a !== b || !inode) throw new Error(`cannot rename ${from} to ${to}`)
    this.#change(a, [[posix.basename(from), undefined], [posix.basename(to), inode]])
  }

  /** Entry by entry, as a real removal goes, so that it can be stopped half way. */
  async remove(path: string): Promise<void> {
    const found = this.#find(path)
    if (!found) return
    if (found.kind === 'folder') for (const name of [...found.now.keys()]) await this.remove(posix.join(path, name))
    this.#step()
    this.#change(this.#parent(path), [[posix.basename(path), undefined]])
  }

  async syncFile(path: string): Promise<void> {
    this.#step()
    const found = this.#find(path)
    if (found?.kind === 'file') found.safe = found.now
  }

  async syncFolder(path: string): Promise<void> {
    this.#step()
    const found = this.#find(path)
    if (found?.kind !== 'folder') throw new Error(`${path} is no folder`)
    found.pending = []
    found.safe = new Map(found.now)
  }

  async freeBytes(): Promise<number> {
    return this.free
  }

  /** Makes all that is there safe: the state of a device that was installed yesterday. */
  settle(at: Folder = this.#root): void {
    at.pending = []
    at.safe = new Map(at.now)
    for (const inode of at.now.values()) {
      if (inode.kind === 'folder') this.settle(inode)
      else if (inode.kind === 'file') inode.safe = inode.now
    }
  }

  /** Every file below a folder with its content, for comparing. */
  tree(path: string): Record<string, string> {
    const out: Record<string, string> = {}
    const go = (at: Inode, name: string): void => {
      if (at.kind === 'file') out[name] = at.now.toString('latin1')
      else if (at.kind === 'link') out[name] = `-> ${at.target}`
      else for (const [leaf, inode] of at.now) go(inode, name === '' ? leaf : `${name}/${leaf}`)
    }
    const found = this.#find(path)
    if (found) go(found, '')
    return Object.fromEntries(Object.entries(out).sort(([a], [b]) => (a < b ? -1 : 1)))
  }
}

function set(map: Map<string, Inode>, name: string, inode: Inode | undefined): void {
  if (inode) map.set(name, inode)
  else map.delete(name)
}

/** Mulberry32: a small generator with a seed, so that a run that failed can be repeated. */
export function seeded(seed: number): () => number {
  let state = seed >>> 0
  return () => {
    state = (state + 0x6d2b79f5) >>> 0
    let t = Math.imul(state ^ (state >>> 15), state | 1)
    t ^= t + Math.imul(t ^ (t >>> 7), t | 61)
    return ((t ^ (t >>> 14)) >>> 0) / 4294967296
  }
}
