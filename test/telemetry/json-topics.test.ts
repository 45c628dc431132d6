import t from 'tap'
import { Broker } from '../rig/broker.js'
import { Folder, Listener, eventually, greeted, startTelemetry, turn } from './kit.js'

const ROOT = 'parley/v1/lab/r1'

t.test('a turn, a reading and an error come out as numbers on their topics', async t => {
  await using broker = await Broker.start()
  await using folder = await Folder.make()
  await using owner = await Listener.open(broker.url)
  await using device = await startTelemetry(broker, folder.path)
  await owner.until(h => h.topic === `${ROOT}/state`, 'the state')
  device.tell(turn(1, { bargeInMs: 42, interrupted: true, ended: 'cut' }))
  device.tell({ type: 'reading', source: 'battery', value: 61 })
  device.tell({ type: 'error', code: 'engine-lost' })
  await owner.until(h => h.topic === `${ROOT}/event`, 'the event')
  await device.sendState()
  await owner.until(h => h.topic === `${ROOT}/state` && h.payload.includes('"battery":61'), 'the battery')
  const [record] = owner.json(`${ROOT}/turn`)
  t.match(record, { firstSoundMs: 181, bargeInMs: 42, interrupted: true, ended: 'cut', id: /^[0-9a-f]{8}-0$/ })
  t.ok(Math.abs(record!['at'] - Date.now()) < 10_000, 'it carries its time')
  t.match(owner.json(`${ROOT}/event`)[0], { event: 'error', code: 'engine-lost', count: 1 })
  t.match(owner.json(`${ROOT}/state`).at(-1), { turns: 1, interrupted: 1, first_sound: 181, errors: 1, version: '1.2.3', node_version: process.versions.node, os: /Linux/, clock_trusted: true })
})

t.test('no word ever leaves, wherever it stands in an event', async t => {
  await using broker = await Broker.start()
  await using folder = await Folder.make()
  await using owner = await Listener.open(broker.url)
  await using device = await startTelemetry(broker, folder.path)
  await owner.until(h => h.topic === `${ROOT}/state`, 'the state') // what is told before the connection is backfill
  const spoken = { text: 'SECRETWORDS', heard: 'SECRETWORDS', style: 'SECRETWORDS' }
  const tools = [{ name: 'say', ok: false, ms: 3, args: { text: 'SECRETWORDS' }, error: 'SECRETWORDS' }]
  device.tell({ ...turn(1), ...spoken, tools } as never)
  device.tell({ type: 'error', code: 'x', message: 'SECRETWORDS', hint: 'SECRETWORDS' } as never)
  device.tell({ type: 'error', code: 'SECRETWORDS in a code: no' })
  device.tell({ type: 'reading', source: 'qr code', value: 'SECRETWORDS' })
  device.tell({ type: 'text', ...spoken } as never)
  device.tell({ type: 'health', parts: [{ name: 'model', ok: true, progressMs: 1, detail: 'SECRETWORDS' } as never] })
  await owner.until(h => h.topic === `${ROOT}/turn`, 'the turn')
  await device.sendState()
  await owner.until(h => h.topic === `${ROOT}/state` && h.payload.includes('"model"'), 'the state')
  t.equal(owner.heard.filter(h => h.payload.includes('SECRETWORDS')).length, 0)
})

t.test('availability is online while connected and offline after a goodbye, and stays so for those who come later', async t => {
  await using broker = await Broker.start()
  await using folder = await Folder.make()
  await using owner = await Listener.open(broker.url, `${ROOT}/availability`)
  const said = (): string[] => owner.heard.map(h => h.payload.toString())
  const device = await startTelemetry(broker, folder.path)
  await owner.until(h => h.payload.toString() === 'online', 'online')
  await device.close()
  await owner.until(h => h.payload.toString() === 'offline', 'offline')
  t.same(said(), ['online', 'offline'], 'a goodbye sends no second offline')
  await using late = await Listener.open(broker.url, `${ROOT}/availability`)
  await late.until(h => h.packet.retain && h.payload.toString() === 'offline', 'it is retained')
})

t.test('the same error a thousand times is one event with a count, not a thousand', async t => {
  await using broker = await Broker.start()
  await using folder = await Folder.make()
  await using owner = await Listener.open(broker.url)
  await using device = await startTelemetry(broker, folder.path)
  await owner.until(h => h.topic === `${ROOT}/state`, 'the state')
  for (let i = 0; i < 1_000; i++) device.tell({ type: 'error', code: 'stall' })
  device.tell({ type: 'error', code: 'other' })
  await owner.until(h => h.topic === `${ROOT}/event` && h.payload.includes('other'), 'the last')
  t.equal(owner.json(`${ROOT}/event`).length, 2)
  t.equal(device.registry.get('errors'), 1_001, 'and the metric has them all')
})

t.test('a broker that is away for many tries is one event, and so is the next outage', { timeout: 60_000 }, async t => {
  await using broker = await Broker.start()
  await using folder = await Folder.make()
  await using device = await startTelemetry(broker, folder.path)
  let failures = 0
  device.link.onNews(news => { if (news.what === 'failed') failures++ })
  const outage = async (n: number): Promise<void> => {
    await greeted(device, n)
    await broker.kill()
    const before = failures
    await eventually('five tries', () => failures >= before + 5)
    t.equal(device.registry.get('errors'), n)
    await broker.restart()
  }
  await outage(1)
  await outage(2)
})
