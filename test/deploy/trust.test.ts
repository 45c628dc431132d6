import { readFile, rm, writeFile } from 'node:fs/promises'
import t from 'tap'
import { fetchSmall } from '../../deploy/update/source.js'
import { TimeFloor } from '../../deploy/update/time-floor.js'
import { realDisk } from '../../deploy/update/real-disk.js'
import { CHANNEL, DAY, START, Vendor, never } from './tuf-kit.js'

const REFUSED = { code: 'update-refused' }
t.setTimeout(120_000)

t.test('a device follows what its vendor signs, release after release', async t => {
  const vendor = await Vendor.open(t)
  const trust = vendor.device()
  await vendor.release('one')
  t.equal(await vendor.ask(trust), 'one')
  t.equal(await vendor.ask(trust), 'one', 'no news is no fault')
  await vendor.release('two')
  t.equal(await vendor.ask(trust), 'two')
  t.equal(await vendor.ask(vendor.device()), 'two', 'also after a start')
})

t.test('rollback: an older release that was once properly signed is refused', async t => {
  const vendor = await Vendor.open(t)
  const trust = vendor.device()
  await vendor.release('one')
  const back = await vendor.keep('metadata/timestamp.json')
  await vendor.release('two')
  t.equal(await vendor.ask(trust), 'two')
  await back()
  await t.rejects(vendor.ask(trust), REFUSED)
  await t.rejects(vendor.ask(vendor.device()), REFUSED, 'also after a start')
})

t.test('every release that was seen is remembered, not the first alone: after a start the one before the last is refused', async t => {
  const vendor = await Vendor.open(t)
  await vendor.release('one')
  t.equal(await vendor.ask(vendor.device()), 'one')
  await vendor.release('two')
  const back = await vendor.keep('metadata/timestamp.json')
  await vendor.release('three')
  t.equal(await vendor.ask(vendor.device()), 'three')
  await back()
  await t.rejects(vendor.ask(vendor.device()), REFUSED)
})

t.test('a root that was followed holds after a start, also where its file is not shown any more', async t => {
  const vendor = await Vendor.open(t)
  await vendor.release('one')
  t.equal(await vendor.ask(vendor.device()), 'one')
  const back = await vendor.keep('metadata/timestamp.json')
  await vendor.repository.rotate('timestamp', { signers: vendor.named('targets2'), threshold: 1 }, vendor.named('a', 'b'))
  await vendor.repository.publish({ snapshot: vendor.named('snapshot'), timestamp: vendor.named('targets2') })
  t.equal(await vendor.ask(vendor.device()), 'one')
  await rm(vendor.path('metadata/2.root.json'))
  await back()
  await t.rejects(vendor.ask(vendor.device()), REFUSED, 'signed by the withdrawn key')
})

t.test('freeze: a server that shows the same old state for ever is noticed when its timestamp expires', async t => {
  const vendor = await Vendor.open(t)
  const trust = vendor.device()
  await vendor.release('one')
  t.equal(await vendor.ask(trust), 'one')
  await t.rejects(vendor.ask(trust, START + 8 * DAY), REFUSED)
  vendor.wall = START + 8 * DAY
  await vendor.publish()
  t.equal(await vendor.ask(trust), 'one', 'a renewed timestamp mends it')
})

t.test('a clock that was set back does not make an expired release fresh', async t => {
  const vendor = await Vendor.open(t)
  await vendor.release('one')
  const floor = new TimeFloor(realDisk, `${vendor.folder}/floor`)
  await floor.raise(START + 9 * DAY, true)
  await t.rejects(vendor.ask(vendor.device(), (await floor.now(START)).getTime()), REFUSED)
})

t.test('a clock that is not synchronised does not raise the time floor', async t => {
  const vendor = await Vendor.open(t)
  const floor = new TimeFloor(realDisk, `${vendor.folder}/floor`)
  await floor.raise(Date.UTC(2099, 0, 1), false)
  t.equal((await floor.now(START)).getTime(), START)
})

t.test('mix and match: targets of one release with the snapshot of another are refused', async t => {
  const vendor = await Vendor.open(t)
  await vendor.release('one')
  const old = await readFile(vendor.path('metadata/2.targets.json')).catch(() => readFile(vendor.path('metadata/1.targets.json')))
  await vendor.release('two')
  await writeFile(vendor.path('metadata/2.targets.json'), old)
  await t.rejects(vendor.ask(vendor.device()), REFUSED)
})

for (const role of ['timestamp.json', '1.snapshot.json', '1.targets.json']) {
  t.test(`tampering: a changed ${role} is refused`, async t => {
    const vendor = await Vendor.open(t)
    await vendor.release('one')
    const path = vendor.path(`metadata/${role}`)
    await writeFile(path, (await readFile(path, 'utf8')).replace('"version": 1', '"version": 7'))
    await t.rejects(vendor.ask(vendor.device()), REFUSED)
  })
}

t.test('tampering: a changed manifest is refused', async t => {
  const vendor = await Vendor.open(t)
  await vendor.release('one')
  const name = `targets/channels/${(await import('node:crypto')).createHash('sha256').update('one').digest('hex')}.stable-x64.json`
  await writeFile(vendor.path(name), 'eno')
  await t.rejects(vendor.ask(vendor.device()), REFUSED)
})

t.test('a release that too few have signed is not published', async t => {
  const vendor = await Vendor.open(t)
  await vendor.repository.rotate('targets', { signers: vendor.named('targets', 'targets2'), threshold: 2 }, vendor.named('a', 'b'))
  await t.rejects(vendor.release('one', 'targets'), { code: 'release-unsigned' })
  t.same(await vendor.repository.sign(vendor.named('targets2')), { have: 2, threshold: 2 })
  await vendor.publish()
  t.equal(await vendor.ask(vendor.device()), 'one')
})

t.test('key rotation: a device follows a new root, and what a withdrawn key signed is refused', async t => {
  const vendor = await Vendor.open(t)
  const trust = vendor.device()
  await vendor.release('one')
  t.equal(await vendor.ask(trust), 'one')
  await vendor.repository.rotate('root', { signers: vendor.named('b', 'c'), threshold: 2 }, vendor.named('a', 'b'))
  await vendor.repository.rotate('targets', { signers: vendor.named('targets2'), threshold: 1 }, vendor.named('b', 'c'))
  await t.rejects(vendor.release('two', 'targets'), { code: 'release-unsigned' })
  await vendor.repository.sign(vendor.named('targets2'))
  await vendor.publish()
  t.equal(await vendor.ask(trust), 'two')
})

t.test('one root key alone cannot make a new root', async t => {
  const vendor = await Vendor.open(t)
  await t.rejects(vendor.repository.rotate('targets', { signers: vendor.named('targets2'), threshold: 1 }, vendor.named('a')), { code: 'release-unsigned' })
})

t.test('an endless file from the source ends at its limit', async t => {
  const endless = { name: 'endless', open: async () => ({ from: 0, chunks: (async function* () { for (;;) yield Buffer.alloc(1000) })() }) }
  await t.rejects(fetchSmall(endless, 'metadata/timestamp.json', 16_384, never), { code: 'update-too-long' })
})

t.test('a file that is not there is told apart from one that is refused', async t => {
  const vendor = await Vendor.open(t)
  await vendor.release('one')
  await t.rejects(vendor.device().target('channels/beta-x64.json', vendor.source, new Date(START), never), { code: 'update-missing' })
  t.ok(CHANNEL)
})
