import t from 'tap'
import { Broker } from '../rig/broker.js'
import { Folder, Listener, eventually, startTelemetry, turn } from './kit.js'

t.test('a broker restart loses no turn that was told meanwhile, and all come in order', { timeout: 180_000 }, async t => {
  await using broker = await Broker.start()
  await using folder = await Folder.make()
  await using device = await startTelemetry(broker, folder.path, { backfillPerS: 500 })
  await eventually('connected', () => device.link.connected)
  await broker.kill()
  await eventually('the loss is seen', () => !device.link.connected)
  for (let n = 1; n <= 50; n++) device.tell(turn(n))
  await broker.restart()
  await using owner = await Listener.open(broker.url)
  await owner.until(h => h.topic.endsWith('/backfill') && h.payload.includes('"turn":50,'), 'the last')
  t.same(owner.json('parley/v1/lab/r1/backfill').filter(r => r['kind'] === 'turn').map(r => r['turn']), Array.from({ length: 50 }, (_, i) => i + 1))
})
