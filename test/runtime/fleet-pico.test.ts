import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import t from 'tap'
import { systemClock } from '../../base/clock.js'
import { readWav } from '../../base/wav.js'
import { openDriver } from '../../drivers/table.js'
import { openSession } from '../../models/engine/index.js'
import { Runtime } from '../../runtime/compose/runtime.js'
import type { ConversationEvent } from '../../runtime/conversation/events.js'
import { PacedMicrophone } from '../../runtime/demo/paced-microphone.js'
import { topicsOf } from '../../runtime/telemetry/topics.js'
import { Broker } from '../rig/broker.js'
import { Folder, Listener, eventually, silent } from '../telemetry/kit.js'
import { liveFleet } from './fleet-kit.js'

const ROOT = fileURLToPath(new URL('../../../', import.meta.url))
const topics = topicsOf('lab', 'r1')

t.test('the owner changes a price over MQTT, and pico answers the next person with the new one', { timeout: 60_000 }, async t => {
  await using broker = await Broker.start()
  await using folder = await Folder.make()
  await using owner = await Listener.open(broker.url)
  const raw = { facts: { muffin: '2 euros', hours: '8 to 20' }, echo: { mode: 'off' }, bundle: { folder: folder.path }, telemetry: { site: 'lab', device: 'r1', broker: { url: broker.url }, folder: `${folder.path}/telemetry` } }
  const { live, fleet: own } = liveFleet(raw, folder.path)
  await using fleet = own
  const events: ConversationEvent[] = []
  const microphone = new PacedMicrophone(systemClock)
  const speaker = await openDriver('speaker', 'null', {}, { clock: systemClock, log: silent, signal: new AbortController().signal })
  const bundle = join(ROOT, 'models/pico')
  await using runtime = new Runtime({ config: await fleet.load(), log: silent, onEvent: e => { events.push(e); fleet.take(e) }, microphone, speaker, openModel: onRespawn => openSession(bundle, { providers: ['cpu'], onRespawn }) })
  await runtime.open()
  live.runtime = runtime
  await fleet.start(bundle)

  const question = (await readWav(join(ROOT, 'test/fixtures/what-does-a-muffin-cost.wav'))).samples
  const answer = async (): Promise<string> => {
    const before = events.filter(e => e.type === 'turn').length
    await microphone.say(question)
    await eventually('an answer', () => events.filter(e => e.type === 'turn').length > before, 10_000)
    return events.flatMap(e => (e.type === 'turn' ? [e.text] : [])).slice(before).join(' ')
  }
  t.match(await answer(), /\b2\b/)
  await owner.publish(topics.desired, { version: 1, state: { facts: { muffin: '7 euros' } } }, { retain: true })
  await owner.until(h => h.topic === topics.reported && h.payload.includes('"version":1'), 'it is in force')
  const then = await answer()
  t.match(then, /\b7\b/)
  t.notMatch(then, /\b2\b/)
  t.ok(owner.heard.every(h => !/euros/.test(h.payload.toString()) || h.topic === topics.desired || h.topic === topics.reported), 'no words of the conversation were sent')
})
