import t from 'tap'
import { Broker } from '../rig/broker.js'
import { Folder, Listener, eventually, startTelemetry, turn } from './kit.js'

const BACKFILL = 'parley/v1/lab/r1/backfill'

t.test('a live turn overtakes a long backlog at once', { timeout: 180_000 }, async t => {
  await using broker = await Broker.start()
  await using folder = await Folder.make()
  await using owner = await Listener.open(broker.url)
  await broker.kill()
  await using device = await startTelemetry(broker, folder.path, { backfillPerS: 20 })
  for (let n = 1; n <= 300; n++) device.tell(turn(n))
  await broker.restart()
  const begun = performance.now()
  await eventually('connected', () => device.link.connected)
  await eventually('listening', () => owner.client.connected)
  await owner.client.subscribeAsync('#', { qos: 1 })
  await owner.until(h => h.topic.endsWith('/backfill'), 'the backfill has begun')
  const told = performance.now()
  device.tell(turn(999))
  await owner.until(h => h.topic.endsWith('/turn') && h.payload.includes('"turn":999,'), 'the live turn')
  const tookMs = Math.round(performance.now() - told)
  t.comment(`${tookMs} ms with ${device.registry.get('backlog') ?? '?'} waiting`)
  // Not ms but order: a busy machine is slow with both.
  const before = owner.all(BACKFILL).length
  t.ok(before < 150, `${before} of the 300 that had waited came before it`)
  await owner.until(() => owner.all(BACKFILL).length >= 60, 'the backfill goes on')
  t.ok(performance.now() - begun > 60 / 20 * 1_000 * 0.8, 'the rate is kept')
})
