import { randomBytes } from 'node:crypto'
import t from 'tap'
import { Broker } from '../rig/broker.js'
import { FakeApi, startDevice } from './fake-device.js'
import { Gate } from '../rig/gate.js'
import { Folder, Listener, eventually, greeted, wait } from './kit.js'

const ROOT = 'parley/v1/lab/r1'
const REPLY = `${ROOT}/reply/test`

async function ask(owner: Listener, name: string, body: unknown, options: { id?: Buffer; replyTo?: string; trace?: string } = {}): Promise<any> {
  const correlationData = options.id ?? randomBytes(8)
  const seen = owner.heard.length
  await owner.publish(`${ROOT}/command/${name}`, body, {
    properties: { responseTopic: options.replyTo ?? REPLY, correlationData, ...(options.trace ? { userProperties: { traceparent: options.trace } } : {}) },
  })
  const answer = await owner.until(h => owner.heard.indexOf(h) >= seen && h.topic === REPLY && h.packet.properties?.correlationData?.equals(correlationData) === true, `an answer to ${name}`)
  return { ...JSON.parse(answer.payload.toString()), packet: answer.packet }
}

t.test('every command is answered, and bad ones change nothing', { timeout: 180_000 }, async t => {
  await using broker = await Broker.start()
  await using folder = await Folder.make()
  await using owner = await Listener.open(broker.url)
  const { device, api } = await startDevice(t, broker, folder.path, { commands: ['say', 'ask', 'stop', 'volume', 'snapshot', 'logs', 'config-get', 'restart', 'bundle-use'] })
  t.teardown(() => device.close())
  await owner.until(h => h.topic === `${ROOT}/state`, 'the device')

  await t.test('good ones are done, and the trace goes with the answer', async t => {
    const trace = '00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01'
    const said = await ask(owner, 'say', { text: 'hello' }, { trace })
    t.match(said, { ok: true })
    t.equal(said.packet.properties.userProperties.traceparent, trace)
    t.match(await ask(owner, 'ask', { text: 'what time is it' }), { ok: true })
    t.match(await ask(owner, 'volume', { volume: 0.3 }), { ok: true })
    t.match(await ask(owner, 'stop', ''), { ok: true })
    t.match(await ask(owner, 'snapshot', ''), { ok: true, result: { microphone: { ok: true } } })
    t.match(await ask(owner, 'config-get', {}), { ok: true, result: { volume: 0.8 } })
    t.match(await ask(owner, 'bundle-use', { name: 'pico-2' }), { ok: true })
    t.same(api.did.splice(0), ['say hello', 'ask what time is it', 'volume 0.3', 'stop', 'bundle pico-2'])
  })

  await t.test('the log is bounded and redacted', async t => {
    const { result } = await ask(owner, 'logs', { lines: 500 })
    const text = JSON.stringify(result)
    t.ok(text.length < 40_000 && result.lines.at(-1).includes('"n":499'))
    t.notMatch(text, /hunter2|what was said/)
  })

  await t.test('unknown, malformed, invalid, oversized, forbidden ones are told so', async t => {
    t.match(await ask(owner, 'dance', {}), { ok: false, error: { code: 'unknown-command' } })
    t.match(await ask(owner, 'constructor', {}), { ok: false, error: { code: 'unknown-command' } })
    t.match(await ask(owner, 'mute', { muted: true }), { ok: false, error: { code: 'forbidden' } })
    t.match(await ask(owner, 'volume', { volume: 11 }), { ok: false, error: { code: 'invalid' } })
    t.match(await ask(owner, 'say', { text: 'x', loud: true }), { ok: false, error: { code: 'invalid' } })
    t.match(await ask(owner, 'say', '{"text":'), { ok: false, error: { code: 'malformed' } })
    t.match(await ask(owner, 'say', Buffer.from([0xff, 0xfe])), { ok: false, error: { code: 'malformed' } })
    t.match(await ask(owner, 'say', { text: 'x'.repeat(100_000) }), { ok: false, error: { code: 'too-large' } })
    t.same(api.did, [])
  })

  await t.test('the same request twice is done once and answered twice', async t => {
    const id = randomBytes(8)
    t.match(await ask(owner, 'say', { text: 'once' }, { id }), { ok: true })
    t.match(await ask(owner, 'say', { text: 'once' }, { id }), { ok: true })
    t.same(api.did.splice(0), ['say once'])
  })

  await t.test('an answer goes nowhere but under the device\'s own reply topic', async t => {
    await owner.publish(`${ROOT}/command/say`, { text: 'x' }, { properties: { responseTopic: `${ROOT}/state`, correlationData: Buffer.from('1') } })
    await owner.publish(`${ROOT}/command/say`, { text: 'x' }, { properties: { responseTopic: 'other/device', correlationData: Buffer.from('2') } })
    await ask(owner, 'snapshot', '')
    t.same(api.did, [])
    t.equal(owner.all('other/device').length, 0)
  })

  await t.test('10 MB on a command topic does not reach the device, which goes on', async t => {
    const before = process.memoryUsage().rss
    await owner.publish(`${ROOT}/command/say`, Buffer.alloc(10_000_000, 'x'))
    t.match(await ask(owner, 'snapshot', ''), { ok: true })
    t.ok(process.memoryUsage().rss - before < 100_000_000)
    t.same(api.did, [])
  })

  await t.test('what was done is told without what was said', async t => {
    const events = owner.json(`${ROOT}/event`).filter(e => e['event'] === 'command')
    t.ok(events.some(e => e['command'] === 'say' && e['code'] === 'ok') && events.some(e => e['command'] === 'unknown'))
    t.notMatch(JSON.stringify(events), /hello|what time|dance/)
  })
})

t.test('a restart that was sent to a device that was away too long never comes', { timeout: 180_000 }, async t => {
  await using broker = await Broker.start()
  await using folder = await Folder.make()
  await using owner = await Listener.open(broker.url)
  const first = await startDevice(t, broker, folder.path)
  await owner.until(h => h.topic === `${ROOT}/state`, 'the device')
  await first.device.close() // its session stays at the broker
  const send = (reason: string, expiry: number): Promise<void> => owner.publish(`${ROOT}/command/restart`, { reason }, { properties: { messageExpiryInterval: expiry, responseTopic: REPLY, correlationData: Buffer.from(reason) } })
  await send('stale', 1)
  await send('fresh', 600)
  await wait(2_500)
  const second = await startDevice(t, broker, folder.path)
  t.teardown(() => second.device.close())
  await eventually('the fresh one comes', () => second.api.did.length > 0)
  await wait(300)
  t.same(second.api.did, ['restart fresh'])
})

t.test('a restart that is delivered again after the restart is not done again', { timeout: 180_000 }, async t => {
  await using broker = await Broker.start()
  await using folder = await Folder.make()
  await using owner = await Listener.open(broker.url)
  const id = randomBytes(8)
  const apis: FakeApi[] = []
  for (let life = 0; life < 3; life++) {
    const { device, api } = await startDevice(t, broker, folder.path)
    apis.push(api)
    await owner.until(h => h.topic === `${ROOT}/availability` && owner.all(`${ROOT}/availability`).filter(x => x.payload.toString() === 'online').length > life, 'the device')
    t.match(await ask(owner, 'restart', {}, { id }), { ok: true })
    await device.close()
  }
  t.same(apis.map(a => a.did.length), [1, 0, 0])
})

t.test('a restart that failed is not called done when it is delivered again after a real one', { timeout: 60_000 }, async t => {
  await using broker = await Broker.start()
  await using folder = await Folder.make()
  await using owner = await Listener.open(broker.url)
  const id = randomBytes(8)
  const stuck = Object.assign(new FakeApi(), { restart: async (): Promise<void> => { throw new Error('no') } })
  const first = await startDevice(t, broker, folder.path, { commands: ['restart'] }, { api: stuck })
  await owner.until(h => h.topic === `${ROOT}/state`, 'the device')
  t.match(await ask(owner, 'restart', {}, { id }), { ok: false, error: { code: 'failed' } })
  await first.device.close()
  const second = await startDevice(t, broker, folder.path, { commands: ['restart'] })
  await owner.until(h => owner.all(`${ROOT}/state`).length > 1 && h.topic === `${ROOT}/state`, 'the device again')
  t.match(await ask(owner, 'restart', {}, { id }), { ok: false, error: { code: 'failed' } })
  t.same(second.api.did, [])
  await second.device.close()
})

t.test('commands that waited at the broker while the connection was away are carried out, and each is answered', { timeout: 60_000 }, async t => {
  await using broker = await Broker.start()
  await using folder = await Folder.make()
  await using gate = await Gate.to(broker.port)
  gate.open()
  await using owner = await Listener.open(broker.url)
  const { device, api } = await startDevice(t, gate, folder.path, { commands: ['say'] })
  await greeted(device.telemetry)
  gate.shut()
  await eventually('away', () => !device.telemetry.link.connected)
  const asked = Array.from({ length: 5 }, (_, n) => ask(owner, 'say', { text: `${n}` }))
  await wait(200)
  gate.open()
  for (const answer of await Promise.all(asked)) t.match(answer, { ok: true })
  t.same(api.did, [0, 1, 2, 3, 4].map(n => `say ${n}`))
  await device.close()
})
