import t from 'tap'
import { systemClock } from '../../base/clock.js'
import { openDriver } from '../../drivers/table.js'
import { openSession } from '../../models/engine/index.js'
import { PacedMicrophone } from '../../runtime/demo/paced-microphone.js'
import { id, tinyBundle } from '../models/tiny-bundle.js'
import { defaults, silentLog } from './fakes.js'
import { openTalk, until } from './live-kit.js'

t.setTimeout(100_000)

// The tiny model begins when a tick begins with this level; 80 ms hold exactly one beginning of a tick.
const cue = new Float32Array(1_280).fill(id('<style:calm>') / 1_000)
const KILLS = 20

async function scene(stuckMs?: number) {
  const bundle = await tinyBundle()
  const microphone = new PacedMicrophone(systemClock)
  const speaker = await openDriver('speaker', 'null', {}, { clock: systemClock, log: silentLog, signal: new AbortController().signal })
  const session = await openSession(bundle.folder, { providers: ['cpu'], cacheFolder: bundle.folder, ...(stuckMs && { stuckMs }) })
  const talk = await openTalk(session, { microphone, speaker, config: { facts: { restroom: 'left' }, readings: { battery: 9 } } })
  const close = async (): Promise<void> => { await talk[Symbol.asyncDispose](); await bundle[Symbol.asyncDispose]() }
  return { microphone, session, talk, [Symbol.asyncDispose]: close }
}

t.test(`the model's process is killed ${KILLS} times at any moment of a reply, and each time it talks again`, { timeout: 90_000 }, async t => {
  await using s = await scene()
  const { microphone, session, talk } = s
  for (let round = 0, late = 0; round < KILLS; round++) {
    const before = talk.turns().length
    await microphone.say(cue)
    if (!await until(() => talk.events.some(e => e.type === 'text' && e.turn > before), 3_000)) return t.fail(`round ${round}: it does not answer`)
    await systemClock.sleep(Math.random() * 250) // the reply goes on for 400 ms
    await new Promise(resolve => setImmediate(resolve)) // what the process has said by now is read
    if (talk.turns().length > before && ++late < KILLS) { round--; continue } // on a busy machine it was over: once more
    process.kill(session.pid ?? 0, 'SIGKILL')
    t.ok(await until(() => talk.turns().length > before, 3_000), `round ${round}: the turn is told`)
    t.equal(talk.turns().at(-1)?.ended, 'lost')
    t.ok(await until(() => session.respawns === round + 1 && session.provider === 'cpu', 5_000), 'there is a new process')
  }
  t.ok(talk.events.filter(e => e.type === 'error').length >= KILLS, 'each loss is told')
  const before = talk.turns().length
  await microphone.say(cue)
  t.ok(await until(() => talk.turns().length > before, 5_000), 'and it answers once more')
  t.match(talk.turns().at(-1), { text: 'hello there', ended: 'end' })
  t.equal(new Set(talk.turns().map(e => e.turn)).size, talk.turns().length, 'each turn is told once')
})

t.test('the model stands still in the middle of a reply: the reply is given up, the process replaced, and it talks again', { timeout: 30_000 }, async t => {
  await using s = await scene(3_000)
  const { microphone, session, talk } = s
  await microphone.say(cue)
  t.ok(await until(() => talk.events.some(e => e.type === 'text'), 3_000), 'it answers')
  const stoppedAt = performance.now()
  process.kill(session.pid ?? 0, 'SIGSTOP')
  t.ok(await until(() => talk.turns().length === 1, 4_000), 'the turn is told')
  t.ok(performance.now() - stoppedAt < defaults.conversation.stallMs + 1_500, `${(performance.now() - stoppedAt).toFixed(0)} ms after it stood still`)
  t.equal(talk.turns()[0]?.ended, 'lost')
  t.ok(await until(() => session.respawns === 1 && session.provider === 'cpu', 10_000), 'there is a new process')
  t.ok(await until(() => talk.events.some(e => e.type === 'error'), 2_000), 'it is told')
  await systemClock.sleep(500) // ticks that waited for the old one are over
  await microphone.say(cue)
  t.ok(await until(() => talk.turns().length === 2, 5_000), 'and it answers again')
  t.match(talk.turns()[1], { text: 'hello there', ended: 'end' })
})
