import mqtt from 'mqtt'
import t from 'tap'
import { Backoff } from '../../runtime/telemetry/link/backoff.js'
import { Link, matches } from '../../runtime/telemetry/link/link.js'
import { Broker } from '../rig/broker.js'
import { DayClock, eventually, pumped, silent } from './kit.js'

t.test('waits between nothing and a limit that doubles from 1 to 60 s, from 8 s after a good connection, and a kicked one does not start that anew', t => {
  const most = new Backoff(() => 1)
  t.same(Array.from({ length: 8 }, () => most.next()), [1_000, 2_000, 4_000, 8_000, 16_000, 32_000, 60_000, 60_000])
  most.lasted(500)
  t.equal(most.next(), 60_000, 'half a second was no success')
  most.lasted(30_000)
  t.same([most.next(), most.next()], [8_000, 16_000], 'half a minute was, but a fleet that lost its broker must not come back at once')
  t.equal(new Backoff(() => 0).next(), 0)
  t.end()
})

t.test('filters match as MQTT says', t => {
  t.ok(matches('a/+/c', 'a/b/c') && matches('a/#', 'a/b/c') && matches('a/#', 'a') && matches('#', 'x'))
  t.notOk(matches('a/+', 'a/b/c') || matches('a/b', 'a') || matches('a', 'a/b'))
  t.end()
})

t.test('a broker that ends every connection at once is not hammered', { timeout: 180_000 }, async t => {
  const clock = new DayClock()
  await using broker = await Broker.start()
  const tries: number[] = []
  const link = new Link({
    broker: { url: broker.url }, clientId: 'x', clock, log: silent, random: () => 1,
    will: () => { tries.push(clock.now()); return { topic: 'x', payload: '', qos: 0, retain: false, delayed: false } },
  })
  link.onConnect(async () => { throw new Error('the greeting is refused') })
  link.start()
  await pumped(clock, 'six tries', () => tries.length, 6, 20)
  const waits = tries.slice(1).map((at, i) => at - tries[i]!)
  t.ok([1_000, 2_000, 4_000, 8_000, 16_000].every((least, i) => waits[i]! >= least), `waited ${waits.map(Math.round)} ms`)
  await link.close()
})

t.test('a device that is kicked again and again waits longer each time', { timeout: 120_000 }, async t => {
  const clock = new DayClock()
  await using broker = await Broker.start()
  const tries: number[] = []
  let connects = 0
  const link = new Link({
    broker: { url: broker.url }, clientId: 'x', clock, log: silent, random: () => 1,
    will: () => { tries.push(clock.now()); return { topic: 'x', payload: '', qos: 0, retain: false, delayed: false } },
  })
  link.onNews(news => { if (news.what === 'connected') connects++ })
  link.start()
  for (let n = 1; n <= 5; n++) {
    await pumped(clock, 'it connects', () => connects, n, 20)
    const rival = mqtt.connect(broker.url, { clientId: 'x', protocolVersion: 5, reconnectPeriod: 0 })
    await eventually('it is kicked', () => !link.connected)
    await rival.endAsync(true)
  }
  await pumped(clock, 'the sixth try', () => tries.length, 6, 20)
  const waits = tries.slice(1).map((at, i) => at - tries[i]!)
  t.ok([1_000, 2_000, 4_000, 8_000, 16_000].every((least, i) => waits[i]! >= least), `waited ${waits.map(Math.round)} ms`)
  await link.close()
})
