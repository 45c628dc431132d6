import { cp, mkdir } from 'node:fs/promises'
import { join } from 'node:path'
import t from 'tap'
import { ManualClock } from '../../base/clock.js'
import { BundleChoice } from '../../runtime/compose/bundle-choice.js'
import { bundleJob } from '../../runtime/compose/bundle-job.js'
import { Jobs } from '../../runtime/shadow/jobs.js'
import { topicsOf } from '../../runtime/telemetry/topics.js'
import { tinyBundle } from '../models/tiny-bundle.js'
import { Folder, eventually, silent } from '../telemetry/kit.js'
import { Wire } from '../telemetry/wire.js'

const topics = topicsOf('lab', 'r1')

/** The folder of a device with its own bundle and two more, `a` and `b`, over any number of lives of its process. */
class Kiosk implements AsyncDisposable {
  readonly restarts: string[] = []
  readonly clock = new ManualClock()
  /** What the process that lives now has opened. */
  opened = ''
  #choice: BundleChoice | undefined
  #jobs: Jobs | undefined
  #wire = new Wire()

  private constructor(readonly folder: Folder) {}

  static async make(): Promise<Kiosk> {
    const folder = await Folder.make()
    await using bundle = await tinyBundle()
    for (const name of ['a', 'b']) await cp(bundle.folder, join(folder.path, 'bundles', name), { recursive: true })
    await mkdir(join(folder.path, 'state'))
    return new Kiosk(folder)
  }

  /** A process starts. `cannot`: a bundle that will not open; `fixed`: it was started with --bundle. */
  async start({ cannot = '', fixed = false } = {}): Promise<void> {
    await this.stop()
    const choice = this.#choice = new BundleChoice(join(this.folder.path, 'bundles'), join(this.folder.path, 'state'))
    const open = async (folder: string): Promise<void> => {
      if (cannot && folder.endsWith(cannot)) throw new Error('the golden utterance was not answered')
      this.opened = folder.split('/').at(-1)!
    }
    if (fixed) await open('own')
    else await choice.open('own', open, silent)
    this.#wire = new Wire()
    this.#jobs = new Jobs({
      link: this.#wire, topics, folder: join(this.folder.path, 'state'), clock: this.clock, log: silent, busy: () => false, wall: () => this.clock.wall(),
      kinds: { 'bundle-use': bundleJob(choice, reason => void this.restarts.push(reason)) },
    })
    await this.#jobs.start()
  }

  /** It is stopped in good order while it opens `name`. */
  async stopOpening(name: string): Promise<void> {
    await this.stop()
    const choice = new BundleChoice(join(this.folder.path, 'bundles'), join(this.folder.path, 'state'))
    const closing = new AbortController()
    const opened: string[] = []
    const open = (folder: string): Promise<void> => {
      opened.push(folder)
      closing.abort()
      return Promise.reject(new Error('it was broken off'))
    }
    await choice.open('own', open, silent, closing.signal).catch(() => {})
    if (opened.length !== 1 || !opened[0]?.endsWith(name)) throw new Error(`it opened ${opened.join()}`)
  }

  /** It ends while it opens `name`. */
  async dieOpening(name: string): Promise<void> {
    await this.stop()
    const choice = new BundleChoice(join(this.folder.path, 'bundles'), join(this.folder.path, 'state'))
    let began = ''
    void choice.open('own', folder => { began = folder; return new Promise<void>(() => {}) }, silent)
    await eventually(`${name} is being opened`, () => began.endsWith(name))
  }

  async job(id: string, name: string): Promise<void> {
    this.#wire.deliver(topics.job, { id, kind: 'bundle-use', args: { name } }, this.clock.now())
    await eventually(`${id} is known`, () => this.#wire.published.some(p => p.body.jobs.some((j: { id: string }) => j.id === id)))
    await this.clock.advance(7_000)
  }

  cancel(id: string): void {
    this.#wire.deliver(topics.job, { id, cancel: true }, this.clock.now())
  }

  async is(id: string, state: string): Promise<string | undefined> {
    const job = () => this.#jobs!.all.find(j => j.id === id)
    await eventually(`${id} is ${state}`, () => job()?.state === state)
    return job()?.reason
  }

  async restartAsked(times = 1): Promise<void> {
    await eventually('a restart is asked for', () => this.restarts.length === times)
  }

  chosen(): Promise<string | undefined> {
    return this.#choice!.chosen()
  }

  async stop(): Promise<void> {
    await this.#jobs?.close()
    this.#jobs = undefined
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.stop()
    await this.folder[Symbol.asyncDispose]()
  }
}

t.test('a job that changes the bundle is in progress until the device has restarted, and has succeeded once that bundle runs', async t => {
  await using kiosk = await Kiosk.make()
  await kiosk.start()
  await kiosk.job('one', 'a')
  await kiosk.restartAsked()
  await kiosk.is('one', 'IN_PROGRESS')
  await kiosk.start()
  await kiosk.is('one', 'SUCCEEDED')
  t.equal(kiosk.opened, 'a')
  t.equal(kiosk.restarts.length, 1, 'once')
})

t.test('a job for a bundle that the device cannot run has failed with the reason, and the device runs its own', async t => {
  await using kiosk = await Kiosk.make()
  await kiosk.start()
  await kiosk.job('one', 'a')
  await kiosk.restartAsked()
  await kiosk.start({ cannot: 'a' })
  t.match(await kiosk.is('one', 'FAILED'), /bundle-failed: .*golden utterance/)
  t.equal(kiosk.opened, 'own')
  await kiosk.start()
  t.equal(kiosk.opened, 'own', 'nor is it tried again with the next start')
})

t.test('a bundle that takes the whole process with it is not opened again, and its job has failed', async t => {
  await using kiosk = await Kiosk.make()
  await kiosk.start()
  await kiosk.job('one', 'a')
  await kiosk.restartAsked()
  await kiosk.dieOpening('a')
  await kiosk.start()
  t.equal(kiosk.opened, 'own')
  t.match(await kiosk.is('one', 'FAILED'), /stopped while it was opened/)
})

t.test('a bundle that was being opened when the device was stopped is opened at the next start', async t => {
  await using kiosk = await Kiosk.make()
  await kiosk.start()
  await kiosk.job('one', 'a')
  await kiosk.restartAsked()
  await kiosk.stopOpening('a')
  await kiosk.start()
  t.equal(kiosk.opened, 'a')
  await kiosk.is('one', 'SUCCEEDED')
})

t.test('a bundle that has run before is opened again after the process died while opening it', async t => {
  await using kiosk = await Kiosk.make()
  await kiosk.start()
  await kiosk.job('one', 'a')
  await kiosk.restartAsked()
  await kiosk.start()
  await kiosk.is('one', 'SUCCEEDED')
  await kiosk.dieOpening('a')
  await kiosk.start()
  t.equal(kiosk.opened, 'a', 'a power cut says nothing about a bundle')
})

t.test('a job for the bundle that runs has succeeded without a restart', async t => {
  await using kiosk = await Kiosk.make()
  await kiosk.start()
  await kiosk.job('one', 'a')
  await kiosk.restartAsked()
  await kiosk.start()
  await kiosk.is('one', 'SUCCEEDED')
  await kiosk.job('two', 'a')
  await kiosk.is('two', 'SUCCEEDED')
  t.equal(kiosk.restarts.length, 1)
})

t.test('a job for a bundle that is not installed has failed at once, with the names there are', async t => {
  await using kiosk = await Kiosk.make()
  await kiosk.start()
  await kiosk.job('one', 'nowhere')
  t.match(await kiosk.is('one', 'FAILED'), /bundle-missing: .*there are: a, b/)
  t.same(kiosk.restarts, [])
})

t.test('a job that is taken back before the restart leaves the bundle that was chosen before', async t => {
  await using kiosk = await Kiosk.make()
  await kiosk.start()
  await kiosk.job('one', 'a')
  await kiosk.restartAsked()
  await kiosk.start()
  await kiosk.is('one', 'SUCCEEDED')
  await kiosk.job('two', 'b')
  await kiosk.restartAsked(2)
  kiosk.cancel('two')
  await kiosk.is('two', 'CANCELED')
  await kiosk.start()
  t.equal(kiosk.opened, 'a')
})

t.test('on a device that was started with --bundle a job says that this goes before it', async t => {
  await using kiosk = await Kiosk.make()
  await kiosk.start({ fixed: true })
  await kiosk.job('one', 'a')
  await kiosk.restartAsked()
  await kiosk.start({ fixed: true })
  t.match(await kiosk.is('one', 'FAILED'), /bundle-fixed: .*--bundle/)
  t.equal(await kiosk.chosen(), undefined)
})
