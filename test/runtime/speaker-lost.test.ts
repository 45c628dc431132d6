import t from 'tap'
import { systemClock } from '../../base/clock.js'
import { openDriver } from '../../drivers/table.js'
import { SoundServer } from '../../drivers/room/sound-server.js'
import { PacedMicrophone } from '../../runtime/demo/paced-microphone.js'
import { ScriptedModel, attentive, silentLog } from './fakes.js'
import { openTalk, until } from './live-kit.js'

t.setTimeout(120_000)

const KILLS = 20
/** Twice as long as the latest kill, for a machine that is late. */
const REPLY_TICKS = 14

t.test(`the speaker's process is killed ${KILLS} times at any moment of a reply, and the next reply is heard`, { timeout: 120_000 }, async t => {
  await using server = await SoundServer.start({ loopback: false })
  server.useHere()
  const microphone = new PacedMicrophone(systemClock)
  const speaker = await openDriver('speaker', 'speaker', {}, { clock: systemClock, log: silentLog, signal: new AbortController().signal })
  const pid = (): number => ('pid' in speaker && typeof speaker.pid === 'number' ? speaker.pid : 0)
  await using talk = await openTalk(new ScriptedModel(attentive(REPLY_TICKS)), { microphone, speaker })
  await using recording = await server.record('spk.monitor')
  const person = Float32Array.from({ length: 3_840 }, (_, i) => 0.4 * Math.sin(i / 7))
  for (let round = 1; round <= KILLS + 1; round++) {
    const from = performance.now()
    await microphone.say(person)
    if (!await until(() => talk.events.some(e => e.type === 'first-sound' && e.turn === round), 5_000)) return t.fail(`round ${round}: it does not answer`)
    if (round <= KILLS) {
      await systemClock.sleep(50 + Math.random() * 350)
      process.kill(pid(), 'SIGKILL')
    }
    t.ok(await until(() => talk.turns().length === round, 10_000), `round ${round}: the turn is told`)
    const turn = talk.turns().at(-1)
    if (round <= KILLS) t.ok(turn && turn.heardMs < turn.spokenMs, `of ${turn?.spokenMs} ms only ${turn?.heardMs} were heard`)
    else t.ok(turn && turn.heardMs > turn.spokenMs - 60, `unkilled, of ${turn?.spokenMs} ms ${turn?.heardMs} were heard`)
    t.ok(recording.firstSoundAt(0.05, from), 'the sound server heard it, too')
  }
})
