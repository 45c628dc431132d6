import { once } from 'node:events'
import { createServer, type AddressInfo } from 'node:net'
import t from 'tap'
import { attempt } from '../../runtime/telemetry/link/attempt.js'
import { Broker } from '../rig/broker.js'
import { eventually } from './kit.js'

const timers = (): number => process.getActiveResourcesInfo().filter(name => name === 'Timeout').length

t.test('an attempt that is given up while the broker is silent leaves no timer behind that would keep the process', async t => {
  const mute = createServer(socket => void socket.on('error', () => {}).resume())
  mute.listen(0, '127.0.0.1')
  await once(mute, 'listening')
  t.teardown(() => mute.close())
  const before = timers()
  const stop = new AbortController()
  const trying = attempt({ url: `mqtt://127.0.0.1:${(mute.address() as AddressInfo).port}` }, { clientId: 'x', clean: true }, stop.signal)
  await once(mute, 'connection')
  stop.abort(new Error('enough'))
  await t.rejects(trying, { message: 'enough' })
  await eventually('it is gone, long before it would have rung', () => timers() <= before, 5_000)
})

t.test('a client whose broker has died knows that it is not connected', async t => {
  await using broker = await Broker.start()
  const { client } = await attempt({ url: broker.url }, { clientId: 'x', clean: true }, new AbortController().signal)
  t.equal(client.connected, true)
  await broker.kill()
  await eventually('it knows', () => !client.connected)
  client.end(true)
})
