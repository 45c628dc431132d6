import { spawn } from 'node:child_process'
import t from 'tap'
import { Broker } from '../rig/broker.js'
import { Folder, Listener } from './kit.js'

t.test('a device that is killed is offline for those who watch, after the ten seconds in which it could have come back', { timeout: 180_000 }, async t => {
  await using broker = await Broker.start()
  await using folder = await Folder.make()
  await using owner = await Listener.open(broker.url, 'parley/v1/lab/r1/availability')
  const child = spawn(process.execPath, [new URL('./run-device.js', import.meta.url).pathname, broker.url, folder.path], { stdio: ['ignore', 'inherit', 'inherit'] })
  t.teardown(() => child.kill('SIGKILL'))
  await owner.until(h => h.payload.toString() === 'online', 'online', 60_000)
  child.kill('SIGKILL')
  const killed = performance.now()
  await owner.until(h => h.payload.toString() === 'offline', 'the will', 60_000)
  const after = performance.now() - killed
  t.ok(after > 8_000, `after ${Math.round(after)} ms`)
})
