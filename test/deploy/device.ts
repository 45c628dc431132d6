import { cp, mkdir, mkdtemp, readFile, readlink, rm, writeFile } from 'node:fs/promises'
import { randomBytes } from 'node:crypto'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { type Test } from 'tap'
import { systemClock } from '../../base/clock.js'
import { uptime } from '../../base/uptime.js'
import { build } from '../../deploy/release/build.js'
import { channelPath } from '../../deploy/release/main.js'
import { switchLink } from '../../deploy/update/atomic.js'
import { Layout, linkTo } from '../../deploy/update/layout.js'
import { updateMain } from '../../deploy/update/main.js'
import { releaseHash } from '../../deploy/update/manifest.js'
import { realDisk } from '../../deploy/update/real-disk.js'
import { stage } from '../../deploy/update/stage.js'
import { writeStatus, type Status } from '../../deploy/update/status.js'
import { Store } from '../../deploy/update/store.js'
import { Vendor } from './tuf-kit.js'

/** A device in a folder with release 1, and a vendor who signs for it. Its updater is the real program. */
export class DeviceAndVendor {
  readonly lines: string[] = []
  /** Whether what is started answers its golden utterance. */
  answers = true
  /** Whether what is started has met its broker. */
  broker: Status['broker'] = 'reached'
  /** What its clock says. */
  wall = (): number => Date.now()
  /** How long its machine has run. */
  uptime = uptime
  /** What a start of this release does; whether its self-test passes. */
  starts = async (release: string): Promise<boolean> => this.answers || release === this.first

  private constructor(readonly root: string, readonly vendor: Vendor, readonly first: string) {}

  static async make(t: Test, settings: string): Promise<DeviceAndVendor> {
    const vendor = await Vendor.open(t, Date.now())
    const root = await mkdtemp(join(tmpdir(), 'parley-device-'))
    t.teardown(() => rm(root, { recursive: true, force: true }))
    const layout = new Layout(root)
    for (const folder of [layout.releases, layout.store, join(root, 'etc/parley'), join(root, 'run/parley'), join(root, 'run/parley-update')]) await mkdir(folder, { recursive: true })
    await writeFile(join(root, 'etc/parley/parley.toml'), settings)
    await writeFile(join(root, 'etc/parley/root.json'), await readFile(vendor.path('metadata/1.root.json')))
    const bytes = await packed(vendor, 1)
    for (const name of await realDisk.list(vendor.path('blobs'))) await cp(vendor.path(`blobs/${name}`), join(layout.store, name))
    const hash = await stage(realDisk, layout, new Store(realDisk, layout.store), bytes)
    await switchLink(realDisk, layout.current, linkTo(hash))
    return new DeviceAndVendor(root, vendor, hash)
  }

  /** Signs and publishes it; gives its hash. `ballast`: bytes that no packing makes smaller. */
  async publish(sequence: number, ballast = 0): Promise<string> {
    const bytes = await packed(this.vendor, sequence, ballast)
    await this.vendor.repository.setTarget(channelPath('stable', process.arch), bytes)
    await this.vendor.repository.sign(this.vendor.named('targets'))
    await this.vendor.publish()
    return releaseHash(bytes)
  }

  /** One run of the updater, as its timer makes it, or with more words a technician. */
  async update(...words: string[]): Promise<number> {
    const io = { out: (line: string) => void this.lines.push(line), wall: () => Date.now() }
    return updateMain(['advance', ...words], io, { root: this.root, clock: { ...systemClock, wall: () => this.wall() }, uptime: () => this.uptime(), restart: () => this.#start() })
  }

  async current(): Promise<string> {
    return (await readlink(new Layout(this.root).current)).slice('releases/'.length)
  }

  async #start(): Promise<void> {
    const release = await this.current()
    const status: Status = { release, startedAt: 0, selfTest: (await this.starts(release)) ? 'passed' : 'failed', broker: this.broker }
    await writeStatus(status, join(this.root, 'run/parley/status.json'))
  }
}

async function packed(vendor: Vendor, sequence: number, ballast = 0): Promise<Buffer> {
  const app = await mkdtemp(join(vendor.folder, 'app-'))
  await writeFile(join(app, 'main.js'), `${sequence}`)
  if (ballast > 0) await writeFile(join(app, 'ballast'), randomBytes(ballast))
  const { bytes } = await build({ version: `1.${sequence}`, sequence, arch: process.arch as 'x64', parts: { app } }, vendor.path(''))
  return bytes
}
