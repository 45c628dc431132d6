import { writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import t from 'tap'
import { createLog } from '../../base/log.js'
import { MqttPublisher } from '../../runtime/mqtt/publisher.js'
import { Broker } from '../rig/broker.js'
import { Gate } from '../rig/gate.js'
import { DayClock, Folder, Listener, eventually, pumped, wait } from '../telemetry/kit.js'

t.setTimeout(60_000)
const log = createLog('silent')
const soon = { random: () => 0.05 }

async function connected(url: string, options = soon): Promise<MqttPublisher> {
  const publisher = await MqttPublisher.open({ url }, log, options)
  await eventually('connected', () => publisher.connected)
  return publisher
}

t.test('a command that a hanging broker did not take is not carried out when the broker goes on', async t => {
  await using broker = await Broker.start()
  await using robot = await Listener.open(broker.url, 'robot/#')
  await using publisher = await connected(broker.url)
  process.kill(broker.pid!, 'SIGSTOP')
  await t.rejects(publisher.publish('robot/act', 'go', { qos: 2, expiryS: 10 }), { code: 'timeout' })
  process.kill(broker.pid!, 'SIGCONT')
  await eventually('connected again', () => publisher.connected)
  await publisher.publish('robot/act', 'a new one', { qos: 2, expiryS: 10 })
  await robot.until(h => h.payload.toString() === 'a new one', 'what is sent now')
  await wait(500)
  t.same(robot.heard.map(h => h.payload.toString()), ['a new one'])
})

t.test('a command that a dead link swallowed is not sent again over the next one', async t => {
  await using broker = await Broker.start()
  await using gate = await Gate.to(broker.port)
  gate.open()
  await using robot = await Listener.open(broker.url, 'robot/#')
  await using publisher = await connected(gate.url)
  gate.swallow()
  await t.rejects(publisher.publish('robot/act', 'go', { qos: 1, expiryS: 10 }), { code: 'timeout' })
  gate.open()
  await eventually('connected again', () => publisher.connected)
  await publisher.publish('robot/act', 'a new one', { qos: 1, expiryS: 10 })
  await robot.until(h => h.payload.toString() === 'a new one', 'what is sent now')
  t.same(robot.heard.map(h => h.payload.toString()), ['a new one'])
})

t.test('a command that is stopped before the broker has answered is not passed on', async t => {
  await using broker = await Broker.start()
  await using robot = await Listener.open(broker.url, 'robot/#')
  await using publisher = await connected(broker.url)
  const stop = new AbortController()
  const going = publisher.publish('robot/act', 'go', { qos: 2, expiryS: 10, signal: stop.signal })
  stop.abort(new Error('stopped'))
  await t.rejects(going, { message: 'stopped' })
  await publisher.publish('robot/stop', 'stop', { qos: 1, expiryS: 10 })
  await publisher.publish('robot/act', 'later', { qos: 2, expiryS: 10 })
  await robot.until(h => h.payload.toString() === 'later', 'the last')
  t.same(robot.heard.map(h => h.payload.toString()), ['stop', 'later'])
})

t.test('a stop that was given without a link is sent before anything else when it is back', async t => {
  await using broker = await Broker.start()
  await using gate = await Gate.to(broker.port)
  gate.open()
  await using robot = await Listener.open(broker.url, 'robot/#')
  await using publisher = await connected(gate.url, { random: () => 1 })
  gate.shut()
  await eventually('the loss is seen', () => !publisher.connected)
  const stopping = publisher.publish('robot/stop', 'stop', { qos: 1, expiryS: 10, keepMs: 5_000 })
  let going: unknown = 'refused'
  const insist = (): Promise<void> => publisher.publish('robot/act', 'go', { qos: 0, expiryS: 10 }).then(() => { going = 'sent' }, () => {})
  gate.open()
  await eventually('a command is taken', async () => { await insist(); return going === 'sent' })
  await stopping
  await robot.until(h => h.payload.toString() === 'go', 'the command')
  t.equal(robot.heard[0]?.payload.toString(), 'stop')
})

t.test('a stop that a dead link swallowed is sent over the next one', async t => {
  await using broker = await Broker.start()
  await using gate = await Gate.to(broker.port)
  gate.open()
  await using robot = await Listener.open(broker.url, 'robot/#')
  await using publisher = await connected(gate.url)
  gate.swallow()
  const begun = performance.now()
  await publisher.publish('robot/stop', 'stop', { qos: 1, expiryS: 10, keepMs: 5_000 })
  t.comment(`${Math.round(performance.now() - begun)} ms`)
  await robot.until(h => h.payload.toString() === 'stop', 'the stop')
})

t.test('a stop that the broker refuses is not sent again and again', async t => {
  await using folder = await Folder.make()
  const aclFile = join(folder.path, 'acl')
  await writeFile(aclFile, 'topic read #\n')
  await using broker = await Broker.start({ extra: [`acl_file ${aclFile}`, 'log_type all'] })
  await using publisher = await connected(broker.url)
  await t.rejects(publisher.publish('robot/stop', 'stop', { qos: 1, expiryS: 10, keepMs: 5_000 }), { message: /Not authorized/i })
  await eventually('the broker has written it down', () => /Denied PUBLISH/.test(broker.output))
  await wait(200)
  t.equal(broker.output.match(/Denied PUBLISH/g)?.length, 1)
})

t.test('what is on its way when all is closed ends with the reason', async t => {
  await using broker = await Broker.start()
  await using gate = await Gate.to(broker.port)
  gate.open()
  const publisher = await connected(gate.url)
  gate.swallow()
  const going = publisher.publish('robot/act', 'go', { qos: 2, expiryS: 10 })
  const begun = performance.now()
  await Promise.all([t.rejects(going, { code: 'closed' }), publisher[Symbol.asyncDispose]()])
  t.ok(performance.now() - begun < 1_500, 'in less than the runtime has')
})

t.test('a stop that is too old is not sent', async t => {
  await using broker = await Broker.start()
  await using publisher = await connected(broker.url)
  await broker.kill()
  await eventually('the loss is seen', () => !publisher.connected)
  await t.rejects(publisher.publish('robot/stop', 'stop', { qos: 1, expiryS: 10, keepMs: 300 }), { code: 'mqtt-offline' })
  await broker.restart()
  await using robot = await Listener.open(broker.url, 'robot/#')
  await eventually('connected again', () => publisher.connected)
  await wait(300)
  t.same(robot.heard, [])
})

t.test('a broker that ends every connection at once is not hammered', async t => {
  const clock = new DayClock()
  const tries: number[] = []
  await using broker = await Broker.start()
  await using gate = await Gate.to(broker.port)
  gate.onEnter = () => tries.push(clock.now())
  gate.open()
  await using publisher = await MqttPublisher.open({ url: gate.url }, log, { clock, random: () => 1 })
  const kicked = (): number => {
    if (publisher.connected) gate.hangUp()
    return tries.length
  }
  await pumped(clock, 'six tries', kicked, 6, 20)
  const waits = tries.slice(1).map((at, i) => at - tries[i]!)
  t.ok([1_000, 2_000, 4_000, 8_000, 16_000].every((least, i) => waits[i]! >= least), `waited ${waits.map(Math.round)} ms`)
})

t.test('a password that others can read is not used', async t => {
  await using folder = await Folder.make()
  const passwordFile = join(folder.path, 'password')
  await writeFile(passwordFile, 'hunter2', { mode: 0o644 })
  await t.rejects(MqttPublisher.open({ url: 'mqtt://127.0.0.1:1', username: 'robot', passwordFile }, log), { code: 'secret-readable', hint: /chmod 600/ })
})
