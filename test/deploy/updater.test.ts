import t from 'tap'
import { ManualClock } from '../../base/clock.js'
import { ParleyError } from '../../base/errors.js'
import { switchLink, writeAtomic } from '../../deploy/update/atomic.js'
import { currentRelease, readJournal } from '../../deploy/update/journal.js'
import { Layout, linkTo } from '../../deploy/update/layout.js'
import { inWindow, judge, updateSettings, type Observation } from '../../deploy/update/policy.js'
import { Updater, type UpdateEvent, type UpdateHost } from '../../deploy/update/updater.js'
import { guard } from './guard-model.js'
import { MemorySource, makeRelease, type Made } from './kit.js'
import { SimDisk, seeded } from './sim-disk.js'

const layout = new Layout('/')
const signal = new AbortController().signal
const weights = { 'model.onnx': 'w'.repeat(5_000) }
const old = await makeRelease(4, { app: { 'main.js': 'old' }, bundle: weights })
const next = await makeRelease(5, { app: { 'main.js': 'new' }, bundle: weights })
const MINUTE = 60_000

async function device(of: { next?: Made; host?: Partial<UpdateHost>; settings?: object; see?: Partial<Observation> } = {}) {
  const disk = new SimDisk(seeded(3))
  const clock = new ManualClock(Date.UTC(2026, 0, 1))
  /** What somebody has set the clock forward by, ms, and which start of the machine it is. */
  const set = { forwardMs: 0, boot: 'first', bootedAt: clock.now() }
  const source = new MemorySource(old, next, ...(of.next ? [of.next] : []))
  const events: UpdateEvent[] = []
  const seen: { -readonly [K in keyof Observation]: Observation[K] } = { release: next.hash, selfTest: 'passed', broker: 'reached', quietMs: 1e9, silentMs: 1e9, ...of.see }
  let restarts = 0
  await disk.makeFolder(layout.releases)
  await disk.makeFolder(layout.store)
  for (const [name, content] of Object.entries(old.files)) {
    const path = `${layout.release(old.hash)}/${name}`
    await disk.makeFolder(path.slice(0, path.lastIndexOf('/')))
    await writeAtomic(disk, path, content)
  }
  for (const [hash, bytes] of old.blobs) await writeAtomic(disk, `${layout.store}/${hash}`, bytes)
  await switchLink(disk, layout.current, linkTo(old.hash))
  const host: UpdateHost = {
    manifest: async () => (of.next ?? next).manifest,
    prepare: async () => {},
    busy: async () => false,
    restart: async () => void restarts++,
    observe: async () => seen,
    report: event => void events.push(event),
    ...of.host,
  }
  const settings = updateSettings.parse({ quietMinutes: 10, reserveMegabytes: 0, ...of.settings })
  const wall = { now: () => clock.now(), wall: () => clock.wall() + set.forwardMs, sleep: clock.sleep.bind(clock) }
  const updater = new Updater({ disk, layout, source, host, clock: wall, uptime: () => ({ boot: set.boot, ms: clock.now() - set.bootedAt }), settings, arch: 'x64' })
  return { disk, clock, set, source, events, seen, host, updater, current: () => currentRelease(disk, layout), state: async () => (await readJournal(disk, layout)).state, restarts: () => restarts }
}

t.test('a good release is fetched, switched to, tried and committed, and the old one is kept', async t => {
  const d = await device()
  t.same(await d.updater.advance(signal), { state: 'idle' })
  t.equal(await d.current(), next.hash)
  t.same((await d.disk.list(layout.releases)).sort(), [old.hash, next.hash].sort())
  t.equal(d.restarts(), 1)
  const states = d.events.map(e => e.state)
  t.same([...new Set(states)], ['idle', 'downloading', 'verified', 'staged', 'switched', 'trial', 'committed'])
})

t.test('an updater that was stopped between the switch and the start starts the new release when it comes back', async t => {
  const d = await device({ host: { restart: async () => { throw new Error('no service manager') } }, see: { release: old.hash } })
  await t.rejects(d.updater.advance(signal), /no service manager/)
  await t.rejects(d.updater.advance(signal), /no service manager/, 'a start that failed is tried again, and not taken for one that was')
  let busy = true
  Object.assign(d.host, { restart: async () => void (d.seen.release = next.hash), busy: async () => busy })
  t.match(await d.updater.advance(signal), { state: 'switched', waiting: 'the end of a talk' })
  busy = false
  t.same(await d.updater.advance(signal), { state: 'idle' })
  t.equal(await d.current(), next.hash)
})

t.test('a new release that a power cut has started is not started once more', async t => {
  let cut = true
  const d = await device({ host: { restart: async () => { if (cut) throw new Error('cut') } }, see: { release: next.hash, selfTest: 'pending' } })
  await t.rejects(d.updater.advance(signal), /cut/)
  cut = false
  t.match(await d.updater.advance(signal), { state: 'trial', waiting: 'the self-test' })
})

t.test('a part that did not change is not fetched again', async t => {
  const d = await device()
  await d.updater.advance(signal)
  t.equal(d.source.asked.filter(a => a.path.startsWith('blobs/')).length, 1, 'only the app')
})

t.test('an update waits while somebody talks, and for its maintenance window', async t => {
  let busy = true
  const d = await device({ host: { busy: async () => busy }, settings: { window: { from: '00:00', to: '00:00' } } })
  t.match(await d.updater.advance(signal), { state: 'staged', waiting: 'the end of a talk' })
  busy = false
  t.match(await d.updater.advance(signal), { state: 'staged', waiting: /window/ })
  t.equal(await d.current(), old.hash)
})

t.test('an update waits until nobody has talked for the quiet minutes, however often the old release restarts', async t => {
  const d = await device({ see: { quietMs: 0, silentMs: 9 * MINUTE } })
  t.match(await d.updater.advance(signal), { state: 'staged', waiting: '10 quiet minutes' })
  d.seen.silentMs = 11 * MINUTE
  t.match(await d.updater.advance(signal), { state: 'trial' })
})

t.test('a release that the vendor replaced before the switch is left for the newer one', async t => {
  const newer = await makeRelease(6, { app: { 'main.js': 'mended' }, bundle: weights })
  let channel = next.manifest
  const d = await device({ next: newer, host: { manifest: async () => channel, busy: async () => channel === next.manifest }, see: { release: newer.hash } })
  t.match(await d.updater.advance(signal), { state: 'staged' })
  channel = newer.manifest
  t.same(await d.updater.advance(signal), { state: 'idle' })
  t.equal(await d.current(), newer.hash)
  t.notOk((await d.disk.list(layout.releases)).includes(next.hash), 'nothing of it stays')
})

t.test('what is staged is switched to also where the vendor cannot be asked', async t => {
  let busy = true
  const d = await device({ host: { busy: async () => busy } })
  t.match(await d.updater.advance(signal), { state: 'staged' })
  busy = false
  Object.assign(d.host, { manifest: async () => { throw new ParleyError('update-http', 'no network') } })
  await t.rejects(d.updater.advance(signal), { code: 'update-http' }, 'asked once more when all is done')
  t.equal(await d.current(), next.hash)
})

t.test('files that are not what was signed are fetched once in an hour, and from another source at once', async t => {
  const d = await device()
  const app = [...next.blobs.keys()].find(hash => !old.blobs.has(hash)) ?? ''
  d.source.files.set(`blobs/${app}`, Buffer.from('x'.repeat(next.blobs.get(app)?.length ?? 0)))
  await t.rejects(d.updater.advance(signal), { code: 'update-tampered' })
  const asked = d.source.asked.length
  await d.clock.advance(59 * MINUTE)
  await t.rejects(d.updater.advance(signal), { code: 'update-spoilt' })
  t.equal(d.source.asked.length, asked, 'nothing was fetched')
  await d.clock.advance(2 * MINUTE)
  await t.rejects(d.updater.advance(signal), { code: 'update-tampered' })
  Object.assign(d.source, { name: 'a stick', files: new MemorySource(next).files })
  t.same(await d.updater.advance(signal), { state: 'idle' })
  t.equal(await d.current(), next.hash)
})

t.test('a trial is committed only after self-test, broker and quiet', async t => {
  const d = await device({ see: { release: old.hash, selfTest: 'pending', broker: 'pending', quietMs: 0 } })
  t.match(await d.updater.advance(signal), { state: 'trial', waiting: 'the self-test' })
  d.seen.selfTest = 'passed'
  t.match(await d.updater.advance(signal), { waiting: 'the self-test' }, 'the old release said so, not the new one')
  d.seen.release = next.hash
  t.match(await d.updater.advance(signal), { waiting: 'the broker' })
  await d.clock.advance(61 * MINUTE)
  t.match(await d.updater.advance(signal), { waiting: '10 quiet minutes' }, 'the grace of the broker is over')
  d.seen.quietMs = 11 * MINUTE
  t.same(await d.updater.advance(signal), { state: 'idle' })
  t.equal(await d.disk.read(layout.trial), undefined)
})

t.test('a release that does not answer is undone and not tried again; a newer one is', async t => {
  const d = await device({ see: { selfTest: 'failed' } })
  await d.updater.advance(signal)
  t.equal(await d.current(), old.hash)
  t.equal(d.restarts(), 2)
  const asked = d.source.asked.length
  await d.updater.advance(signal)
  t.equal(d.source.asked.length, asked)
  t.match(d.events.find(e => e.state === 'rolling-back' && e.reason), { reason: /golden/ })
})

t.test('a trial that never ends is undone after its limit', async t => {
  const d = await device({ see: { selfTest: 'pending' } })
  await d.updater.advance(signal)
  await d.clock.advance(241 * MINUTE)
  await d.updater.advance(signal)
  t.equal(await d.current(), old.hash)
})

t.test('a clock that is set forward during a trial neither ends the broker\'s grace nor the trial', async t => {
  const d = await device({ see: { broker: 'pending' } })
  t.match(await d.updater.advance(signal), { state: 'trial', waiting: 'the broker' })
  d.set.forwardMs = 365 * 24 * 60 * MINUTE
  t.match(await d.updater.advance(signal), { waiting: 'the broker' }, 'a year in no time is no hour')
  d.set.forwardMs = -d.set.forwardMs
  await d.clock.advance(59 * MINUTE)
  t.match(await d.updater.advance(signal), { waiting: 'the broker' })
  await d.clock.advance(2 * MINUTE)
  t.same(await d.updater.advance(signal), { state: 'idle' }, 'the grace ends when it is over, also with the clock set back')
})

t.test('a trial goes on over restarts of the machine: its time adds up', async t => {
  const d = await device({ see: { selfTest: 'pending' } })
  await d.updater.advance(signal)
  for (const boot of ['second', 'third', 'fourth']) {
    await d.clock.advance(70 * MINUTE)
    t.match(await d.updater.advance(signal), { state: 'trial' })
    Object.assign(d.set, { boot, bootedAt: d.clock.now() })
    t.match(await d.updater.advance(signal), { state: 'trial' })
  }
  await d.clock.advance(31 * MINUTE)
  await d.updater.advance(signal)
  t.equal(await d.current(), old.hash, '3 times 70 and 31 minutes are more than 240')
})

t.test('once the new release has answered, pulling the plug does not count against it', async t => {
  const d = await device({ see: { quietMs: 0 } })
  await d.updater.advance(signal)
  await d.disk.makeFolder(layout.run)
  for (let i = 0; i < 6; i++) {
    await guard(d.disk, layout)
    await writeAtomic(d.disk, layout.bootsInMemory, 'counted there too, when the disk takes nothing')
    await d.updater.advance(signal)
    t.equal(await d.disk.read(layout.bootsInMemory), undefined)
  }
  t.equal(await d.current(), next.hash)
})

t.test('a downgrade is refused', async t => {
  const d = await device({ next: await makeRelease(3, { app: { 'main.js': 'ancient' } }) })
  await t.rejects(d.updater.advance(signal), { code: 'update-downgrade' })
})

t.test('without room on the disk nothing is begun', async t => {
  const d = await device()
  d.disk.free = 100
  await t.rejects(d.updater.advance(signal), { code: 'update-no-space' })
  t.equal(await d.state(), 'idle')
})

t.test('a lost journal in the middle of a trial does not lose the trial', async t => {
  const d = await device({ see: { selfTest: 'pending' } })
  await d.updater.advance(signal)
  await d.disk.remove(layout.journal)
  t.equal((await d.updater.recover()).state, 'trial')
})

t.test('what was built for the releases before goes after the commit, and not sooner', async t => {
  const settled: string[] = []
  const d = await device({ host: { settled: async folder => void settled.push(folder) }, see: { quietMs: 0 } })
  t.match(await d.updater.advance(signal), { state: 'trial' })
  t.same(settled, [])
  d.seen.quietMs = 1e9
  await d.updater.advance(signal)
  t.same(settled, [layout.release(next.hash)])
})

t.test('what cannot be prepared (an engine that does not build) never becomes current', async t => {
  const d = await device({ host: { prepare: async () => { throw new ParleyError('engine-build', 'trtexec ended with 1') } } })
  await d.updater.advance(signal)
  t.equal(await d.current(), old.hash)
  t.equal(await d.state(), 'idle')
})

t.test('a technician can undo a trial, and only a trial', async t => {
  const d = await device({ see: { selfTest: 'pending' } })
  await t.rejects(d.updater.rollBack('wish'), { code: 'update-no-trial' })
  await d.updater.advance(signal)
  await d.updater.rollBack('wish')
  t.equal(await d.current(), old.hash)
})

t.test('a technician can undo a release that was switched to and could not be started', async t => {
  const d = await device({ host: { restart: async () => { throw new Error('no service manager') } }, see: { release: old.hash } })
  await t.rejects(d.updater.advance(signal))
  Object.assign(d.host, { restart: async () => {} })
  await d.updater.rollBack('wish')
  t.equal(await d.current(), old.hash)
  t.equal(await d.state(), 'idle')
})

t.test('a window may go over midnight', async t => {
  const at = (hours: number): Date => new Date(2026, 0, 1, hours, 30)
  const night = { from: '22:00', to: '05:00' }
  t.same([21, 23, 4, 5].map(h => inWindow(night, at(h))), [false, true, true, false])
  t.same([1, 2, 3].map(h => inWindow({ from: '02:00', to: '03:00' }, at(h))), [false, true, false])
})

t.test('a failed self-test of another release says nothing about this one', async t => {
  const settings = updateSettings.parse({})
  t.match(judge({ release: 'x', selfTest: 'failed', broker: 'reached', quietMs: 1e9, silentMs: 1e9 }, 'y', 0, settings), { do: 'wait' })
})

t.test('a trial file that cannot be read is a trial all the same: only its removal commits', async t => {
  const d = await device({ see: { selfTest: 'pending' } })
  t.match(await d.updater.advance(signal), { state: 'trial', waiting: 'the self-test' })
  await writeAtomic(d.disk, layout.trial, '\0\0\0\0')
  t.match(await d.updater.advance(signal), { state: 'trial', waiting: 'the self-test' })
  d.seen.selfTest = 'failed'
  await d.updater.advance(signal)
  t.equal(await d.current(), old.hash)
})
