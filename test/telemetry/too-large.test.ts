import { readFile } from 'node:fs/promises'
import mqtt, { type IClientOptions, type IConnackPacket, type IDisconnectPacket } from 'mqtt'
import t from 'tap'
import { Owner } from '../../runtime/fleet/owner.js'
import { MAX_PACKET } from '../../runtime/telemetry/link/attempt.js'
import { Authority } from '../rig/authority.js'
import { Broker } from '../rig/broker.js'
import { startDevice } from './fake-device.js'
import { Folder, Listener, greeted } from './kit.js'
import { secureBroker } from './secure-broker.js'

const ROOT = 'parley/v1/lab/r1'
/** MQTT 5, 3.14.2.1. */
const PACKET_TOO_LARGE = 0x95

t.test('a command of any size is answered: by the device, or by the broker that we give out', { timeout: 120_000 }, async t => {
  await using authority = await Authority.create()
  const [r1, operator] = [await authority.issue('lab/r1'), await authority.issue('operator')]
  await using broker = await secureBroker(authority)
  await using folder = await Folder.make()
  const { device, api } = await startDevice(t, broker, folder.path, { broker: { url: broker.url, ca: authority.ca, ...r1 } })
  await greeted(device.telemetry)
  const options: IClientOptions = { ca: await readFile(authority.ca), cert: await readFile(operator.cert), key: await readFile(operator.key), protocolVersion: 5, reconnectPeriod: 0 }
  const asker = mqtt.connect(broker.url, options)
  t.teardown(() => asker.end(true))
  const hello = await new Promise<IConnackPacket>(resolve => void asker.once('connect', resolve))
  const most = hello.properties?.maximumPacketSize ?? Infinity
  t.ok(most < MAX_PACKET, `what the broker takes, ${most} bytes, reaches the device`)

  await using owner = await Listener.open(broker.url, `${ROOT}/reply/test`, options)
  const properties = { responseTopic: `${ROOT}/reply/test`, correlationData: Buffer.from('1') }
  await owner.publish(`${ROOT}/command/say`, Buffer.alloc(most - 200, 'x'), { properties })
  const { payload } = await owner.until(() => true, 'the answer of the device')
  t.match(JSON.parse(payload.toString()), { ok: false, error: { code: 'too-large' } })

  const told = new Promise<IDisconnectPacket>(resolve => void asker.once('disconnect', resolve))
  asker.publish(`${ROOT}/command/say`, Buffer.alloc(most, 'x'), { qos: 1, properties })
  t.equal((await told).reasonCode, PACKET_TOO_LARGE, 'the answer of the broker')
  t.equal(device.telemetry.link.connected, true)
  t.same(api.did, [])

  await using fleet = await Owner.open({ url: broker.url, ca: authority.ca, ...operator })
  await t.rejects(fleet.publish(`${ROOT}/desired`, 'x'.repeat(most), true), { code: 'too-large', hint: /max_packet_size/ }, 'and parley fleet says so')
  await device.close()
})

t.test('a broker that goes away while it is asked ends the wait, with the reason', { timeout: 60_000 }, async t => {
  await using broker = await Broker.start()
  await using fleet = await Owner.open({ url: broker.url })
  const asked = fleet.ask('lab', 'nobody', 'stop', {}, 60_000, '')
  const watched = fleet.watch(['#'], () => {}, new AbortController().signal)
  const ends = Promise.all([t.rejects(asked, { code: 'offline' }), t.rejects(watched, { code: 'offline' })])
  await new Promise(resolve => setTimeout(resolve, 200))
  await broker.kill()
  await ends
  await t.rejects(fleet.publish('x', 1, false), { code: 'offline' }, 'also what is sent later')
})
