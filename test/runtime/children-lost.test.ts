import t from 'tap'
import { systemClock } from '../../base/clock.js'
import { openDriver } from '../../drivers/table.js'
import { openSession } from '../../models/engine/index.js'
import { Runtime } from '../../runtime/compose/runtime.js'
import type { ConversationEvent, TurnEvent } from '../../runtime/conversation/events.js'
import { PacedMicrophone } from '../../runtime/demo/paced-microphone.js'
import { SoundServer } from '../rig/sound-server.js'
import { id, tinyBundle } from '../models/tiny-bundle.js'
import { ScriptedModel, attentive, defaults, silentLog } from './fakes.js'

const until = async (holds: () => boolean, ms: number): Promise<boolean> => {
  for (const end = performance.now() + ms; !holds() && performance.now() < end;) await systemClock.sleep(10)
  return holds()
}
const turnsOf = (events: readonly ConversationEvent[]): TurnEvent[] => events.filter(e => e.type === 'turn')

t.test('the model\'s process is killed in the middle of replies, and each time it talks again', { timeout: 120_000 }, async t => {
  await using bundle = await tinyBundle()
  const microphone = new PacedMicrophone(systemClock)
  const closing = new AbortController()
  const speaker = await openDriver('speaker', 'null', {}, { clock: systemClock, log: silentLog, signal: closing.signal })
  const events: ConversationEvent[] = []
  const session = await openSession(bundle.folder, { providers: ['cpu'] })
  await using runtime = new Runtime({ config: { ...defaults, readings: { battery: 9 }, echo: { mode: 'off' } }, log: silentLog, onEvent: e => events.push(e), microphone, speaker, openModel: async () => session })
  await runtime.open()
  // The tiny model begins when a tick begins with this level; 80 ms hold exactly one beginning of a tick.
  const cue = new Float32Array(1_280).fill(id('<style:calm>') / 1_000)
  for (let round = 0; round < 5; round++) {
    const before = turnsOf(events).length
    await microphone.say(cue)
    t.ok(await until(() => events.some(e => e.type === 'text' && e.turn > before), 3_000), `round ${round}: it answers`)
    process.kill(session.pid ?? 0, 'SIGKILL')
    t.ok(await until(() => turnsOf(events).length > before, 3_000), 'the turn is told')
    t.equal(turnsOf(events).at(-1)?.ended, 'lost')
    t.ok(await until(() => session.respawns === round + 1 && session.provider === 'cpu', 5_000), 'there is a new process')
    await systemClock.sleep(300)
  }
  t.ok(events.filter(e => e.type === 'error').length >= 5, 'each loss is told')
  await microphone.say(cue)
  const before = turnsOf(events).length
  t.ok(await until(() => turnsOf(events).length > before, 5_000), 'and it answers once more')
  t.match(turnsOf(events).at(-1), { text: 'hello there', ended: 'end' })
  t.equal(new Set(turnsOf(events).map(e => e.turn)).size, turnsOf(events).length, 'each turn is told once')
})

t.test('the speaker\'s process is killed in the middle of replies, and the next reply is heard', { timeout: 120_000 }, async t => {
  await using server = await SoundServer.start({ loopback: false })
  server.useHere()
  const closing = new AbortController()
  const microphone = new PacedMicrophone(systemClock)
  const speaker = await openDriver('speaker', 'speaker', {}, { clock: systemClock, log: silentLog, signal: closing.signal })
  const events: ConversationEvent[] = []
  const pid = (): number => ('pid' in speaker && typeof speaker.pid === 'number' ? speaker.pid : 0)
  await using runtime = new Runtime({ config: { ...defaults, echo: { mode: 'off' } }, log: silentLog, onEvent: e => events.push(e), microphone, speaker, openModel: async () => new ScriptedModel(attentive(20)) })
  await runtime.open()
  await using recording = await server.record('spk.monitor')
  const person = Float32Array.from({ length: 6_400 }, (_, i) => 0.4 * Math.sin(i / 7))
  for (let round = 1; round <= 4; round++) {
    await microphone.say(person)
    t.ok(await until(() => events.some(e => e.type === 'first-sound' && e.turn === round * 2 - 1), 5_000), `round ${round}: it sounds`)
    await systemClock.sleep(200 + 150 * round)
    process.kill(pid(), 'SIGKILL')
    t.ok(await until(() => turnsOf(events).length === round * 2 - 1, 10_000), 'the turn is told')
    const hit = turnsOf(events).at(-1)
    t.ok(hit && hit.heardMs < hit.spokenMs, `of ${hit?.spokenMs} ms only ${hit?.heardMs} were heard`)
    const from = performance.now()
    await microphone.say(person)
    t.ok(await until(() => turnsOf(events).length === round * 2, 10_000), 'the next one is told')
    const next = turnsOf(events).at(-1)
    t.ok(next && next.heardMs > next.spokenMs - 60, `of ${next?.spokenMs} ms ${next?.heardMs} were heard`)
    t.ok(recording.firstSoundAt(0.05, from), 'the sound server heard it, too')
  }
})
