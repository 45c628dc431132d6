import t from 'tap'
import { Broker } from '../rig/broker.js'
import { Folder, Listener, eventually, startTelemetry, wait } from './kit.js'

t.test('two processes with one id end their fight: one stays connected, the other keeps away and says so', { timeout: 180_000 }, async t => {
  await using broker = await Broker.start()
  await using first = await Folder.make()
  await using second = await Folder.make()
  await using owner = await Listener.open(broker.url)
  await using a = await startTelemetry(broker, first.path)
  await owner.until(h => h.payload.toString() === 'online', 'the first is there')
  await using b = await startTelemetry(broker, second.path)
  await eventually('the first was kicked', () => a.registry.get('takeovers') === 1)
  await eventually('the fight is over', () => b.link.connected && !a.link.connected)
  await wait(3_000)
  t.ok(b.link.connected && !a.link.connected, 'the later one stays')
  t.notOk(b.registry.get('takeovers'), 'and was never pushed out for long')
  t.ok(a.registry.get('errors'), 'the first tells of a duplicate id')
  t.equal(owner.all('parley/v1/lab/r1/availability').at(-1)?.payload.toString(), 'online')
  await b.close()
  await eventually('the first comes back when the other is gone', () => a.link.connected)
})
