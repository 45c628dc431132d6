import { cp, readdir } from 'node:fs/promises'
import { join } from 'node:path'
import t from 'tap'
import { Outbox } from '../../runtime/telemetry/outbox.js'
import { SegmentRing } from '../../runtime/telemetry/store/ring.js'
import { Broker } from '../rig/broker.js'
import { Folder, Listener, eventually, greeted, startTelemetry, turn } from './kit.js'

const LIMITS = { bytes: 1_000_000, segmentBytes: 600 }
const files = async (folder: string): Promise<string[]> => (await readdir(folder)).filter(name => name.endsWith('.seg'))

async function open(folder: string): Promise<SegmentRing> {
  const ring = new SegmentRing(folder, LIMITS)
  await ring.open()
  return ring
}

const hold = (ring: SegmentRing): number => ring.append(Buffer.from('x'), true).seq

/** What a start finds after a kill at this moment. */
async function afterKill(folder: string): Promise<{ have: number[]; dropped: number }> {
  await using copy = await Folder.make()
  await cp(folder, copy.path, { recursive: true })
  const ring = await open(copy.path)
  const have = (await ring.oldest(10_000)).map(r => r.seq)
  const { dropped } = ring
  await ring.close()
  return { have, dropped }
}

t.test('while there is a broker, a thousand turns that arrive at once write not one byte to the disk', { timeout: 60_000 }, async t => {
  await using broker = await Broker.start()
  await using folder = await Folder.make()
  await using device = await startTelemetry(broker, folder.path, { store: { syncMs: 60_000 } })
  await greeted(device)
  await using owner = await Listener.open(broker.url, 'parley/v1/lab/r1/turn')
  const before = (await device.state())['stored_bytes']
  for (let n = 1; n <= 1_000; n++) {
    device.tell(turn(n))
    if (n % 10 === 0) await eventually('they arrive', () => owner.heard.length >= n)
  }
  t.equal((await device.state())['stored_bytes'], before)
  t.same(await files(join(folder.path, 'turns')), [])
})

t.test('what is on its way when the link is lost is on disk at once, in one write', async t => {
  await using folder = await Folder.make()
  const ring = await open(folder.path)
  let lose: () => void = () => {}
  const lost = new Promise<void>((_, reject) => { lose = () => reject(new Error('offline')) })
  const box = new Outbox('turn', ring, 'x', { connected: true, publish: () => lost })
  for (let n = 1; n <= 3; n++) await box.add({ id: String(n), at: n })
  t.same(await files(folder.path), [], 'it waits for its answer')
  lose()
  await eventually('the backfill has them', async () => (await box.oldest())?.record.id === '1')
  t.same((await afterKill(folder.path)).have, [1, 2, 3])
  t.same((await files(folder.path)).length, 1)
  await ring.close()
})

t.test('what is on its way for longer than a sync is on disk', async t => {
  await using folder = await Folder.make()
  const ring = await open(folder.path)
  hold(ring)
  await ring.sync()
  t.same((await afterKill(folder.path)).have, [1])
  await ring.close()
})

t.test('killed at any moment, no record that was written is lost, and none that never had to be written is counted as lost', { timeout: 120_000 }, async t => {
  let seed = 7
  const chance = (): number => (seed = (seed * 1_103_515_245 + 12_345) % 2 ** 31) / 2 ** 31
  for (let life = 0; life < 20; life++) {
    await using folder = await Folder.make()
    const ring = await open(folder.path)
    const [held, written] = [new Set<number>(), new Set<number>()]
    const flushed = (): void => { for (const seq of held) written.add(seq); held.clear() }
    for (let step = 0; step < 60; step++) {
      const what = chance()
      if (what < 0.4) held.add(hold(ring))
      else if (what < 0.55) {
        const { seq, stored } = ring.append(Buffer.from('x'))
        await stored
        written.add(seq)
        flushed()
      } else if (what < 0.85) {
        const open = [...held, ...written]
        const seq = open[Math.floor(chance() * open.length)]
        if (seq !== undefined) { ring.ack(seq); held.delete(seq); written.delete(seq) }
      } else if (what < 0.95) { await ring.sync(); flushed() }
      else await ring.saveCursor()
      if (step % 6 !== 5) continue
      const { have, dropped } = await afterKill(folder.path)
      const missing = [...written].filter(seq => !have.includes(seq))
      if (missing.length > 0 || dropped > 0) t.fail(`life ${life}, step ${step}: missing ${missing}, ${dropped} counted as lost`)
    }
    await ring.close()
  }
  t.pass('20 lives, 200 kills')
})
