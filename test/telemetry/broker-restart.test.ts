import t from 'tap'
import { Broker } from '../rig/broker.js'
import { Gate } from '../rig/gate.js'
import { Folder, Listener, eventually, greeted, startTelemetry, turn } from './kit.js'

t.test('a broker restart loses no turn that was told meanwhile, and all come in order', { timeout: 180_000 }, async t => {
  await using broker = await Broker.start()
  await using folder = await Folder.make()
  await using gate = await Gate.to(broker.port) // shut until the owner hears: no broker keeps a backfill for who comes later
  gate.open()
  await using device = await startTelemetry(gate, folder.path, { backfillPerS: 500 })
  await greeted(device)
  gate.shut()
  await broker.kill()
  await eventually('the loss is seen', () => !device.link.connected)
  for (let n = 1; n <= 50; n++) device.tell(turn(n))
  await broker.restart()
  await using owner = await Listener.open(broker.url)
  gate.open()
  await owner.until(h => h.topic.endsWith('/backfill') && h.payload.includes('"turn":50,'), 'the last')
  t.same(owner.json('parley/v1/lab/r1/backfill').filter(r => r['kind'] === 'turn').map(r => r['turn']), Array.from({ length: 50 }, (_, i) => i + 1))
})
