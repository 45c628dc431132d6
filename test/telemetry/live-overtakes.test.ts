import t from 'tap'
import { Broker } from '../rig/broker.js'
import { Folder, Listener, eventually, startTelemetry, turn, wait } from './kit.js'

t.test('a live turn overtakes a long backlog at once', { timeout: 60_000 }, async t => {
  await using broker = await Broker.start()
  await using folder = await Folder.make()
  await using owner = await Listener.open(broker.url)
  await broker.kill()
  await using device = await startTelemetry(broker, folder.path, { backfillPerS: 20 })
  for (let n = 1; n <= 300; n++) device.tell(turn(n))
  await wait(200)
  await broker.restart()
  await eventually('connected', () => device.link.connected)
  await eventually('listening', () => owner.client.connected)
  await owner.client.subscribeAsync('#', { qos: 1 })
  await owner.until(h => h.topic.endsWith('/backfill'), 'the backfill has begun')
  const told = performance.now()
  device.tell(turn(999))
  await owner.until(h => h.topic.endsWith('/turn') && h.payload.includes('"turn":999,'), 'the live turn', 5_000)
  const tookMs = Math.round(performance.now() - told)
  t.comment(`${tookMs} ms with ${device.registry.get('backlog') ?? '?'} waiting`)
  t.ok(tookMs < 1_000, 'well before the 15 s that the backlog takes')
  await wait(1_000)
  t.ok(owner.all('parley/v1/lab/r1/backfill').length < 60, 'the rate is kept')
})
