import { mkdir, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { type Test } from 'tap'
import { Signer } from '../../deploy/release/keys.js'
import { Repository } from '../../deploy/release/repository.js'
import { FolderSource } from '../../deploy/update/source.js'
import { Trust } from '../../deploy/update/trust.js'
import { realDisk } from '../../deploy/update/real-disk.js'

export const START = Date.UTC(2026, 5, 1)
export const DAY = 86_400_000
export const CHANNEL = 'channels/stable-x64.json'

export const never = new AbortController().signal

/** A vendor with two root keys, one each of the others, and a device that trusts his first root. */
export class Vendor {
  wall = START
  readonly keys: Record<string, Signer> = {}
  readonly repository: Repository

  private constructor(readonly folder: string) {
    this.repository = new Repository(join(folder, 'repo'), () => this.wall)
  }

  static async open(t: Test, wall = START): Promise<Vendor> {
    const folder = await mkdtemp(join(tmpdir(), 'parley-vendor-'))
    t.teardown(() => rm(folder, { recursive: true, force: true }))
    const vendor = new Vendor(folder)
    vendor.wall = wall
    await mkdir(join(folder, 'keys'))
    for (const name of ['a', 'b', 'c', 'targets', 'targets2', 'snapshot', 'timestamp']) vendor.keys[name] = await Signer.create(join(folder, 'keys'), name)
    await vendor.repository.init({
      root: { signers: vendor.named('a', 'b'), threshold: 2 },
      targets: { signers: vendor.named('targets'), threshold: 1 },
      snapshot: { signers: vendor.named('snapshot'), threshold: 1 },
      timestamp: { signers: vendor.named('timestamp'), threshold: 1 },
    })
    return vendor
  }

  named(...names: string[]): Signer[] {
    return names.map(name => this.keys[name] as Signer)
  }

  path(name: string): string {
    return join(this.folder, 'repo', name)
  }

  get source(): FolderSource {
    return new FolderSource(join(this.folder, 'repo'))
  }

  async release(text: string, ...signers: string[]): Promise<void> {
    await this.repository.setTarget(CHANNEL, Buffer.from(text))
    await this.repository.sign(this.named(...(signers.length ? signers : ['targets'])))
    await this.publish()
  }

  publish(): Promise<void> {
    return this.repository.publish({ snapshot: this.named('snapshot'), timestamp: this.named('timestamp') })
  }

  device(): Trust {
    return new Trust(realDisk, join(this.folder, 'trusted.json'), () => readFile(this.path('metadata/1.root.json')))
  }

  async ask(trust: Trust, now = this.wall): Promise<string> {
    return (await trust.target(CHANNEL, this.source, new Date(now), never)).toString()
  }

  async keep(...names: string[]): Promise<() => Promise<void>> {
    const bytes = await Promise.all(names.map(async name => [name, await readFile(this.path(name))] as const))
    return async () => void (await Promise.all(bytes.map(([name, content]) => writeFile(this.path(name), content))))
  }
}
