import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { tmpdir } from 'node:os'
import t, { type Test } from 'tap'
import { setTalking, writeStatus } from '../../deploy/update/status.js'
import { DeviceAndVendor } from './device.js'
import { DAY } from './tuf-kit.js'

t.setTimeout(60_000)

/** A device on which release 2 lies staged while somebody talks; the talk is over when this resolves. */
async function staged(t: Test) {
  const d = await DeviceAndVendor.make(t, '')
  const from = (folder: string): Promise<void> => writeFile(join(d.root, 'etc/parley/parley.toml'), `[update]\nfrom = "${folder}"\nquietMinutes = 0\nreserveMegabytes = 0\n`)
  const vendors = d.vendor.path('')
  const nowhere = await mkdtemp(join(tmpdir(), 'parley-nowhere-'))
  t.teardown(() => rm(nowhere, { recursive: true, force: true }))
  await from(vendors)
  const talk = join(d.root, 'run/parley/talking')
  await setTalking(true, talk)
  const next = await d.publish(2)
  await d.update()
  t.match(d.lines.at(-1), 'staged: waiting for the end of a talk')
  await setTalking(false, talk)
  return { d, next, offline: () => from(nowhere), after: (days: number) => void (d.wall = () => Date.now() + days * DAY) }
}

t.test('a staged release whose signatures are too old is not switched to, and says what it waits for', async t => {
  const { d, offline, after } = await staged(t)
  await offline()
  after(8)
  t.equal(await d.update(), 0, 'it is no failure of the unit')
  t.match(d.lines.at(-1), /^staged: waiting for newer signatures: those that are known ended on \d{4}-\d\d-\d\d$/)
  t.equal(await d.current(), d.first)
})

t.test('without network it is switched to as long as its signatures are good', async t => {
  const { d, next, offline, after } = await staged(t)
  await offline()
  after(6)
  await d.update()
  t.equal(await d.current(), next)
})

t.test('a server that shows the old state for ever does not get a staged release switched to; the vendor\'s renewal does', async t => {
  const { d, next, after } = await staged(t)
  after(8)
  await d.update()
  t.equal(await d.current(), d.first)
  d.vendor.wall = Date.now() + 8 * DAY
  await d.vendor.publish()
  await d.update()
  t.equal(await d.current(), next)
})

t.test('a clock that was set back to nothing does not keep a device from what it has checked', async t => {
  const { d, next, offline } = await staged(t)
  await offline()
  d.wall = () => 0
  await d.update()
  t.equal(await d.current(), next)
})

t.test('a clock that is wrong forward only makes it wait, and it goes on when the clock is right', async t => {
  const { d, next, offline, after } = await staged(t)
  await offline()
  after(365 * 70)
  await d.update()
  t.equal(await d.current(), d.first)
  after(0)
  await d.update()
  t.equal(await d.current(), next)
})

t.test('a release on trial is judged by its trial alone, also when the signatures run out meanwhile', async t => {
  const { d, next, offline, after } = await staged(t)
  d.broker = 'pending'
  await d.update()
  t.match(d.lines.at(-1), 'trial: waiting for the broker')
  await offline()
  after(30)
  await writeStatus({ release: next, startedAt: 0, selfTest: 'passed', broker: 'reached' }, join(d.root, 'run/parley/status.json'))
  await d.update()
  t.equal(await d.current(), next)
  t.match(await readFile(join(d.root, 'var/lib/parley-update/journal.json'), 'utf8'), '"state":"idle"')
})
