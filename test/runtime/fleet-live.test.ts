import { randomBytes } from 'node:crypto'
import { mkdir, writeFile } from 'node:fs/promises'
import t from 'tap'
import { systemClock } from '../../base/clock.js'
import { LogTail } from '../../base/log.js'
import { openSession } from '../../models/engine/index.js'
import { BundleChoice } from '../../runtime/compose/bundle-choice.js'
import { Fleet } from '../../runtime/compose/fleet.js'
import { LiveApi } from '../../runtime/compose/live-api.js'
import { Runtime } from '../../runtime/compose/runtime.js'
import { configSchema } from '../../runtime/config/schema.js'
import type { Model } from '../../runtime/conversation/conversation.js'
import type { ConversationEvent } from '../../runtime/conversation/events.js'
import { topicsOf } from '../../runtime/telemetry/topics.js'
import { tinyBundle } from '../models/tiny-bundle.js'
import { Broker } from '../rig/broker.js'
import { Folder, Listener, eventually, silent, soon } from '../telemetry/kit.js'
import { liveFleet } from './fleet-kit.js'

const topics = topicsOf('lab', 'r1')

t.test('the owner commands and changes a running device, and hears numbers only', { timeout: 120_000 }, async t => {
  await using broker = await Broker.start()
  await using folder = await Folder.make()
  await using bundle = await tinyBundle()
  await using owner = await Listener.open(broker.url)
  const raw = {
    microphone: { driver: 'fake', repeat: true }, speaker: { driver: 'null' }, facts: { restroom: 'left' }, readings: { battery: 61 }, playout: { volume: 0.5 }, bundle: { folder: folder.path },
    telemetry: { site: 'lab', device: 'r1', broker: { url: broker.url }, folder: `${folder.path}/telemetry`, stateS: 1, commands: ['say', 'ask', 'stop', 'volume', 'mute', 'snapshot', 'restart', 'logs', 'bundle-use', 'config-get'] },
  }
  const tail = new LogTail()
  const restarts: string[] = []
  const { live, fleet: own } = liveFleet(raw, folder.path, { tail, restart: reason => restarts.push(reason) })
  await using fleet = own
  const facts: (readonly string[])[] = []
  const events: ConversationEvent[] = []
  const openModel = async (onRespawn: () => void): Promise<Model> => {
    const session = await openSession(bundle.folder, { onRespawn })
    const setFacts = session.setFacts.bind(session)
    session.setFacts = async lines => { await setFacts(lines); facts.push(lines) } // written down once the engine has read them
    return session
  }
  await using runtime = new Runtime({ config: await fleet.load(), log: silent, onEvent: e => { events.push(e); fleet.take(e) }, openModel })
  await runtime.open()
  live.runtime = runtime
  fleet.take({ at: 0, type: 'error', code: 'golden-failed', message: '' })
  await fleet.start(bundle.folder)
  await owner.until(h => h.topic === topics.state, 'the state')

  const ask = async (name: string, args: unknown = {}): Promise<any> => {
    const correlationData = randomBytes(8)
    await owner.publish(`${topics.command}/${name}`, args, { properties: { responseTopic: `${topics.reply}/test`, correlationData } })
    const answer = await owner.until(h => h.topic === `${topics.reply}/test` && h.packet.properties?.correlationData?.equals(correlationData) === true, `an answer to ${name}`)
    return JSON.parse(answer.payload.toString())
  }
  const spoken = (): string[] => events.flatMap(e => (e.type === 'turn' ? [e.text] : []))

  await t.test('say: the model says these words and no others', async t => {
    t.match(await ask('say', { text: 'Gift shop right around' }), { ok: true })
    await eventually('the words are said', () => spoken().includes('gift shop right around'))
  })
  await t.test('ask: a typed turn is answered', async t => {
    t.match(await ask('ask', { text: 'ping' }), { ok: true })
    await eventually('the answer', () => spoken().includes('pong'))
  })
  await t.test('stop silences a reply, and the device goes on', async t => {
    t.match(await ask('say', { text: Array(40).fill('muffin').join(' ') }), { ok: true })
    await eventually('it speaks', () => runtime.conversation.playout.busy)
    t.match(await ask('stop'), { ok: true })
    await eventually('it is silent', () => events.some(e => e.type === 'turn' && e.ended === 'cut' && e.text.includes('muffin')))
    t.match(await ask('ask', { text: 'ping' }), { ok: true })
    await eventually('it answers', () => spoken().filter(text => text === 'pong').length === 2)
  })
  await t.test('volume and mute are heard at once', async t => {
    t.match(await ask('volume', { volume: 0.3 }), { ok: true })
    t.equal(runtime.conversation.playout.volume, 0.3)
    await ask('mute', { muted: true })
    t.equal(runtime.conversation.playout.volume, 0)
    await ask('mute', { muted: false })
    t.equal(runtime.conversation.playout.volume, 0.3)
  })
  await t.test('a changed fact is read by the engine, and one that it cannot hold changes nothing and says why', async t => {
    await owner.publish(topics.desired, { version: 1, state: { facts: { muffin: '2 gift' }, playout: { volume: 0.7 } } }, { retain: true })
    await owner.until(h => h.topic === topics.reported && h.payload.includes('"version":1'), 'it is in force')
    t.same(facts.at(-1), ['restroom: left', 'muffin: 2 gift'])
    t.equal(runtime.conversation.playout.volume, 0.7)
    t.match(await ask('config-get'), { ok: true, result: { facts: { muffin: '2 gift' } } })
    const long = Object.fromEntries(Array.from({ length: 40 }, (_, i) => [`gift ${String.fromCharCode(97 + (i % 26))}${i}`, 'muffin muffin muffin']))
    await owner.publish(topics.desired, { version: 2, state: { facts: long } }, { retain: true })
    const refused = await owner.until(h => h.topic === topics.reported && h.payload.includes('"refused"'), 'the refusal')
    t.match(JSON.parse(refused.payload.toString()), { version: 1, refused: { version: 2, reasons: [{ why: /tokens/ }] } })
    t.same(facts.at(-1), ['restroom: left', 'muffin: 2 gift'], 'the engine has the old ones again')
  })
  await t.test('snapshot tells how each part is', async t => {
    const { result } = await ask('snapshot')
    t.match(result, { ok: true, bundle: 'tiny', provider: 'cpu', volume: 0.7 })
    for (const name of ['capture', 'model', 'playout', 'microphone', 'speaker']) t.ok(result.parts.some((p: { name: string; ok: boolean }) => p.name === name && p.ok), name)
  })
  await t.test('a bad command is told what is wrong with it', async t => {
    t.match(await ask('volume', { volume: 'loud' }), { ok: false, error: { code: 'invalid', message: /volume/ } })
    t.match(await ask('dance'), { ok: false, error: { code: 'unknown-command' } })
    t.match(await ask('bundle-use', { name: 'nowhere' }), { ok: false, error: { code: 'bundle-missing', message: /no bundle of that name/ } })
    t.same(restarts, [])
    t.match(await ask('restart', { reason: 'a test' }), { ok: true })
    t.same(restarts, ['a test'])
  })
  await t.test('what happened while the parts were opened is told too', async t => {
    await owner.until(h => h.topic === topics.state && h.payload.includes('"battery":61'), 'a reading')
    await owner.until(h => h.topic === topics.backfill && h.payload.includes('golden-failed'), 'an error')
  })
  await t.test('what left the device holds numbers: no word that was said, typed or meant, and no sound', async t => {
    await owner.until(h => h.topic === topics.state && h.payload.includes('"bundle":"tiny"') && h.payload.includes('"bundle_hash"'), 'a state with all in it')
    await owner.until(h => h.topic === topics.turn, 'a turn')
    const out = owner.heard.filter(h => [topics.state, topics.turn, topics.event, topics.backfill].includes(h.topic))
    for (const { topic, payload } of out) {
      t.notMatch(payload.toString(), /pong|ping|gift|muffin|hello|restroom|left/, topic)
      t.ok(payload.length < 5_000, `${topic} has ${payload.length} bytes`)
    }
    t.match(owner.json(topics.state).at(-1), { version: '9.9.9', provider: 'cpu', problem: false, false_starts: 0 })
  })
})

t.test('facts wished from afar that a smaller bundle cannot hold do not keep the device from starting, and the owner is told', { timeout: 60_000 }, async t => {
  await using broker = await Broker.start()
  await using folder = await Folder.make()
  await using bundle = await tinyBundle()
  await using owner = await Listener.open(broker.url)
  const raw = {
    microphone: { driver: 'fake', repeat: true }, speaker: { driver: 'null' }, facts: { restroom: 'left' },
    telemetry: { site: 'lab', device: 'r1', broker: { url: broker.url }, folder: `${folder.path}/telemetry` },
  }
  await mkdir(`${folder.path}/telemetry`)
  const many = Object.fromEntries(Array.from({ length: 40 }, (_, i) => [`gift ${i}`, 'muffin muffin muffin']))
  await writeFile(`${folder.path}/telemetry/desired.json`, JSON.stringify({ version: 7, state: { facts: many } }))
  const own = configSchema.parse(raw)
  const tail = new LogTail()
  const api = new LiveApi({ runtime: (): Runtime => runtime, config: () => own, tail, bundles: new BundleChoice(folder.path, `${folder.path}/telemetry`), restart: () => {} })
  await using fleet = new Fleet({ settings: own.telemetry!, raw, version: '9.9.9', clock: systemClock, log: silent, api, runtime: (): Runtime => runtime, onConfig: () => {}, random: soon })
  const config = await fleet.load()
  t.ok(Object.keys(config.facts).length > 40, 'they are wished for')
  const openModel = (onRespawn: () => void): Promise<Model> => openSession(bundle.folder, { onRespawn })
  const without = new Runtime({ config, log: silent, onEvent: () => {}, openModel })
  await t.rejects(without.open(), { code: 'facts-too-long' }, 'a device that has no others says what is wrong')
  await using runtime = new Runtime({ config, log: silent, onEvent: () => {}, openModel, ownFacts: { facts: own.facts, onTaken: refused => fleet.device.missed('facts', (refused as Error).message) } })
  await runtime.open()
  await fleet.start(bundle.folder)
  const reported = await owner.until(h => h.topic === topics.reported, 'the report')
  t.match(JSON.parse(reported.payload.toString()), { version: 7, refused: { version: 7, reasons: [{ key: 'facts', why: /tokens/ }] } })
})
