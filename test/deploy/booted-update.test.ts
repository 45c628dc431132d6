import { cp, mkdtemp, readFile, readlink, rm, writeFile } from 'node:fs/promises'
import { createHash } from 'node:crypto'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as delay } from 'node:timers/promises'
import t, { type Test } from 'tap'
import { releaseMain } from '../../deploy/release/main.js'
import { fleetMain } from '../../runtime/fleet/main.js'
import { Broker } from '../rig/broker.js'
import { Container, whyNot } from './container.js'
import { handedOver } from './handed-over.js'
import { ROOT } from './tree.js'

// Two minutes on an idle machine: a Debian is copied, installed and booted, and 140 MB are packed twice.
t.setTimeout(600_000)
const skip = whyNot()
const ARCH = process.arch === 'arm64' ? 'arm64' : 'x64'

/** The vendor's commands, as docs/operations.md has them. */
class Vendor {
  private constructor(readonly folder: string) {}

  static async open(t: Test): Promise<Vendor> {
    const folder = await mkdtemp(join(tmpdir(), 'parley-vendor-'))
    t.teardown(() => rm(folder, { recursive: true, force: true }))
    const vendor = new Vendor(folder)
    await vendor.#do('keys', ...['root1', 't1', 'snapshot', 'timestamp'].flatMap(name => ['--name', name]))
    await vendor.#do('init', '--repo', vendor.repo, '--root', 'root1:1', '--targets', 't1:1', '--snapshot', 'snapshot:1', '--timestamp', 'timestamp:1')
    return vendor
  }

  get repo(): string {
    return join(this.folder, 'repo')
  }

  /** Builds, signs and publishes; gives the release's hash. */
  async publish(sequence: number, parts: Readonly<Record<string, string>>): Promise<string> {
    const manifest = join(this.folder, `${sequence}.json`)
    await releaseMain(['build', '--repo', this.repo, '--version', `9.${sequence}.0`, '--sequence', String(sequence), '--arch', ARCH, '--out', manifest, ...Object.entries(parts).flatMap(([name, folder]) => ['--part', `${name}=${folder}`])], io)
    await this.#do('sign', '--repo', this.repo, '--key', 't1', '--manifest', manifest, '--channel', 'stable')
    await this.#do('publish', '--repo', this.repo, '--snapshot', 'snapshot', '--timestamp', 'timestamp')
    return createHash('sha256').update(await readFile(manifest)).digest('hex')
  }

  async #do(verb: string, ...args: string[]): Promise<void> {
    await releaseMain([verb, '--keys', join(this.folder, 'keys'), ...args], io)
  }
}
const io = { out: () => {}, wall: () => Date.now() }

t.test('a job at the broker brings a booted device to a signed release, for which the shipped model must answer', { skip }, async t => {
  await using broker = await Broker.start()
  const vendor = await Vendor.open(t)
  const from = await handedOver(t, join(ROOT, 'models/pico'))
  const see = { '/source': from, '/dependencies': join(ROOT, 'node_modules'), '/vendor': vendor.folder }
  await using box = await Container.prepare(false)
  t.match(await box.before(['sh', '/source/deploy/install.sh', '--trust', '/vendor/repo/metadata/1.root.json'], see).catch(error => String(error.stdout) + String(error.stderr)), /installed\. Next/)
  await writeFile(box.path('etc/parley/parley.toml'), [
    '[microphone]', 'driver = "fake"', 'repeat = true', '[speaker]', 'driver = "null"',
    '[telemetry]', 'site = "lab"', 'device = "lobby"', `[telemetry.broker]`, `url = "${broker.url}"`,
    '[update]', 'from = "/vendor/repo"', 'by = "job"', 'quietMinutes = 0', 'reserveMegabytes = 0', '',
  ].join('\n'))
  await box.boot(see, { network: true })
  const fleet = async (...argv: string[]): Promise<string> => {
    const lines: string[] = []
    const take = (line: string): void => void lines.push(line)
    await fleetMain([...argv, '--site', 'lab'], { out: take, err: take, env: { PARLEY_BROKER: broker.url, USER: 'kim' }, signal: new AbortController().signal })
    return lines.join('\n')
  }
  const current = async (): Promise<string> => (await readlink(box.path('opt/parley/current'))).replace('releases/', '')
  const until = async (what: string, is: () => Promise<boolean>, limitMs: number): Promise<void> => {
    for (const end = performance.now() + limitMs; performance.now() < end; await delay(500)) if (await is()) return
    t.fail(`not in ${limitMs} ms: ${what}\n${await box.journal('parley.service')}\n${await box.journal('parley-update.service')}`)
  }
  const first = await current()

  await t.test('it boots, listens, and is at the broker', async t => {
    t.match(await box.until('parley.service', 'ActiveState', /^active$/, 90_000), 'active', await box.journal('parley.service'))
    await until('online', async () => /lobby +online/.test(await fleet('list')), 30_000)
  })

  await t.test('a voice that stands still is killed by the watchdog and talks to the broker again', async t => {
    const main = async (): Promise<string> => (await box.run('systemctl', 'show', '--property=MainPID', '--value', 'parley.service')).trim()
    const stalled = await main()
    await box.run('systemctl', 'kill', '--signal=STOP', '--kill-whom=main', 'parley.service')
    await until('another process', async () => !['0', stalled].includes(await main()), 60_000) // 20 s without progress
    t.match(await box.until('parley.service', 'ActiveState', /^active$/, 90_000), 'active', await box.journal('parley.service'))
    t.match(await box.journal('parley.service'), /Watchdog timeout[^]*Failed with result 'watchdog'/)
    await until('online', async () => /lobby +online/.test(await fleet('list')), 30_000)
    t.equal(await current(), first, 'one stall is no reason to go back')
  })

  const release = box.path(`opt/parley/releases/${first}`)
  const app = join(vendor.folder, 'app')
  await cp(join(release, 'app'), app, { recursive: true, verbatimSymlinks: true })
  await writeFile(join(app, 'package.json'), (await readFile(join(app, 'package.json'), 'utf8')).replace(/"version": "[^"]*"/, '"version": "9.2.0"'))
  const next = await vendor.publish(2, { app, node_modules: join(release, 'node_modules'), bundle: join(release, 'bundle') })

  await t.test('without a job it stays as it is', async t => {
    await box.run('systemctl', 'start', 'parley-update.service')
    t.equal(await current(), first)
  })

  await t.test('the job is done when the new release was heard to answer', async t => {
    t.match(await fleet('job', 'start', 'lobby', 'update', JSON.stringify({ release: next }), '--id', 'spring'), /spring was sent/)
    await until('SUCCEEDED', async () => {
      await box.run('systemctl', 'start', 'parley-update.service').catch(() => {}) // as its timer does every five minutes
      return /spring +update +(SUCCEEDED|FAILED|TIMED_OUT|REJECTED)/.test(await fleet('job', 'status', 'lobby'))
    }, 400_000)
    t.match(await fleet('job', 'status', 'lobby'), /spring +update +SUCCEEDED/, await box.journal('parley-update.service'))
    t.equal(await current(), next)
    t.match(await fleet('list'), /9\.2\.0/)
    t.match(await box.run('cat', '/run/parley/status.json'), /"selfTest":"passed"/)
  })
})
