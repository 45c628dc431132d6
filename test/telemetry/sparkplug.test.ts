import { createRequire } from 'node:module'
import t from 'tap'
import { decodePayload, encodePayload, type SparkplugPayload } from '../../runtime/telemetry/sparkplug/payload.js'
import { Broker } from '../rig/broker.js'
import { Gate } from '../rig/gate.js'
import { startDevice } from './fake-device.js'
import { Folder, Listener, eventually, turn, wait } from './kit.js'

interface Theirs { readonly timestamp?: unknown; readonly seq?: unknown; readonly metrics?: readonly { name?: string; type?: string; value?: unknown; isHistorical?: boolean; timestamp?: unknown }[] }
interface Independent { decodePayload(bytes: Uint8Array): Theirs; encodePayload(payload: object): Uint8Array }

/** Eclipse Tahu's own codec, written by others from the same .proto. */
const theirs = (createRequire(import.meta.url)('sparkplug-payload') as { get(name: string): Independent }).get('spBv1.0')
const EXAMPLE: SparkplugPayload = {
  timestamp: 1_790_000_000_123, seq: 255,
  metrics: [
    { name: 'a/double', type: 'Double', value: -1.5, timestamp: 1_790_000_000_001 },
    { name: 'big', type: 'UInt64', value: 2n ** 53n + 1n, timestamp: 1 },
    { name: 'yes', type: 'Boolean', value: true, timestamp: 2, historical: true },
    { name: 'no', type: 'Boolean', value: false, timestamp: 2 },
    { name: 'text', type: 'String', value: 'größer ✓', timestamp: 3 },
    { name: 'unknown', type: 'Double', value: null, timestamp: 4 },
  ],
}

t.test('every message comes back as it was', t => {
  t.same(decodePayload(encodePayload(EXAMPLE)), EXAMPLE)
  t.same(decodePayload(encodePayload({ timestamp: 0, metrics: [] })), { timestamp: 0, metrics: [] })
  t.end()
})

t.test('a message cut at any byte, or noise, is an error or less, never a crash', t => {
  const bytes = encodePayload(EXAMPLE)
  for (let n = 0; n < bytes.length; n++) {
    for (const hostile of [bytes.subarray(0, n), Buffer.from(bytes).fill(0xff, n, Math.min(n + 3, bytes.length))]) {
      try {
        decodePayload(hostile)
      } catch (error) {
        if (!(error instanceof RangeError)) t.fail(String(error))
      }
    }
  }
  t.pass()
  t.end()
})

t.test('another implementation reads what we write, and we what it writes', t => {
  const read = theirs.decodePayload(encodePayload(EXAMPLE))
  t.equal(Number(read.seq), 255)
  t.equal(Number(read.timestamp), EXAMPLE.timestamp)
  t.same(read.metrics!.map(m => [m.name, m.type]), EXAMPLE.metrics.map(m => [m.name, m.type]))
  t.equal(read.metrics![0]!.value, -1.5)
  t.equal(String(read.metrics![1]!.value), String(2n ** 53n + 1n))
  t.equal(read.metrics![2]!.isHistorical, true)
  t.equal(read.metrics![4]!.value, 'größer ✓')
  const back = decodePayload(Buffer.from(theirs.encodePayload({ timestamp: 5, seq: 7, metrics: [{ name: 'x', type: 'Double', value: 2.5, timestamp: 6 }, { name: 'r', type: 'Boolean', value: true }] })))
  t.match(back, { timestamp: 5, seq: 7, metrics: [{ name: 'x', value: 2.5 }, { name: 'r', value: true }] })
  t.end()
})

t.test('a session walked by an independent decoder: birth, data, history, rebirth, death', { timeout: 180_000 }, async t => {
  await using broker = await Broker.start()
  await using folder = await Folder.make()
  await using gate = await Gate.to(broker.port) // shut, so that the first turn becomes history and the owner hears the birth
  const { device, tell } = await startDevice(t, gate, folder.path, { sparkplug: { group: 'lab', everyS: 1 } })
  tell(turn(1))
  tell({ type: 'health', parts: [{ name: 'microphone', ok: true, progressMs: 5 }, { name: 'speaker', ok: true, progressMs: 7 }] })
  await using owner = await Listener.open(broker.url, 'spBv1.0/#')
  gate.open()
  const on = (type: string): { topic: string; body: Theirs }[] => owner.heard.filter(h => h.topic.split('/')[2] === type).map(h => ({ topic: h.topic, body: theirs.decodePayload(h.payload) }))
  await eventually('born', () => on('NBIRTH').length > 0 && on('DBIRTH').length >= 2)
  const birth = on('NBIRTH')[0]!
  t.equal(birth.topic, 'spBv1.0/lab/NBIRTH/r1')
  t.equal(Number(birth.body.seq), 0)
  const names = birth.body.metrics!.map(m => m.name)
  for (const name of ['bdSeq', 'Node Control/Rebirth', 'hw.battery.charge', 'parley.turn.first_sound.duration']) t.ok(names.includes(name), name)
  t.same(on('DBIRTH').slice(0, 2).map(b => b.topic), ['spBv1.0/lab/DBIRTH/r1/microphone', 'spBv1.0/lab/DBIRTH/r1/speaker'])
  t.same(on('DBIRTH').slice(0, 2).map(b => Number(b.body.seq)), [1, 2])

  tell({ type: 'reading', source: 'battery', value: 44 })
  await eventually('data', () => on('NDATA').some(d => d.body.metrics!.some(m => m.name === 'hw.battery.charge' && m.value === 44)))
  await eventually('history', () => on('NDATA').some(d => d.body.metrics!.some(m => m.name === 'parley.turn.first_sound.duration' && (m.isHistorical === true || (m as { historical?: boolean }).historical === true))))
  const seqs = owner.heard.filter(h => /NBIRTH|DBIRTH|NDATA|DDATA/.test(h.topic)).map(h => Number(theirs.decodePayload(h.payload).seq))
  const from = seqs.lastIndexOf(0)
  t.same(seqs.slice(from), seqs.slice(from).map((_, i) => i % 256), 'no sequence number is missing')

  const births = on('NBIRTH').length
  await owner.publish('spBv1.0/lab/NCMD/r1', encodePayload({ timestamp: 1, metrics: [{ name: 'Node Control/Rebirth', type: 'Boolean', value: true, timestamp: 1 }] }))
  await eventually('born again', () => on('NBIRTH').length > births)
  await owner.publish('spBv1.0/lab/NCMD/r1', Buffer.from('garbage'))
  await wait(100)
  const bdSeq = (body: Theirs): string => String(body.metrics!.find(m => m.name === 'bdSeq')?.value)
  const last = bdSeq(on('NBIRTH').at(-1)!.body)
  await device.close()
  await eventually('dead', () => on('NDEATH').length > 0)
  t.equal(bdSeq(on('NDEATH').at(-1)!.body), last, 'the death belongs to the last birth')
})

t.test('twenty rebirths asked for at once, among data: each birth begins at 0, and no number is missing after it', { timeout: 60_000 }, async t => {
  await using broker = await Broker.start()
  await using folder = await Folder.make()
  await using owner = await Listener.open(broker.url, 'spBv1.0/#')
  const { device, tell } = await startDevice(t, broker, folder.path, { sparkplug: { group: 'lab', everyS: 1 } })
  tell({ type: 'health', parts: [{ name: 'microphone', ok: true, progressMs: 5 }] })
  const births = (): number => owner.heard.filter(h => h.topic.includes('/NBIRTH/')).length
  await eventually('born', () => births() > 0)
  const again = encodePayload({ timestamp: 1, metrics: [{ name: 'Node Control/Rebirth', type: 'Boolean', value: true, timestamp: 1 }] })
  for (let n = 0; n < 20; n++) {
    tell({ type: 'reading', source: 'battery', value: n })
    void owner.publish('spBv1.0/lab/NCMD/r1', again)
    await wait(n % 4 ? 0 : 120)
  }
  await eventually('all are born', () => births() >= 21)
  let next = 0
  for (const { topic, payload } of owner.heard.filter(h => /NBIRTH|DBIRTH|NDATA|DDATA/.test(h.topic))) {
    const seq = Number(decodePayload(payload).seq)
    if (topic.includes('/NBIRTH/')) next = 0
    t.equal(seq, next % 256, `${topic} ${seq}`)
    next++
  }
  await device.close()
})

t.test('when the link dies the broker tells the death of that very birth, and the next birth has a later number', { timeout: 60_000 }, async t => {
  await using broker = await Broker.start()
  await using folder = await Folder.make()
  await using gate = await Gate.to(broker.port)
  gate.open()
  await using owner = await Listener.open(broker.url, 'spBv1.0/#')
  const { device } = await startDevice(t, gate, folder.path, { sparkplug: { group: 'lab', everyS: 1 } })
  const numbers = (type: string): number[] => owner.heard.filter(h => h.topic.includes(`/${type}/`)).map(h => Number(theirs.decodePayload(h.payload).metrics!.find(m => m.name === 'bdSeq')?.value))
  await eventually('born', () => numbers('NBIRTH').length === 1)
  gate.shut()
  await eventually('the death is told', () => numbers('NDEATH').length > 0)
  gate.open()
  await eventually('born again', () => numbers('NBIRTH').length > 1)
  const [first, second] = numbers('NBIRTH')
  t.equal(numbers('NDEATH')[0], first)
  t.ok(second! > first!, `${first}, then ${second}`)
  await device.close()
  await eventually('dead', () => numbers('NDEATH').at(-1) === numbers('NBIRTH').at(-1))
})
