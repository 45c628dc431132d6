import t from 'tap'
import { systemClock } from '../../base/clock.js'
import { SoundServer } from '../../drivers/room/sound-server.js'
import { ScriptedModel, attentive, defaults } from './fakes.js'
import { openTalk, until } from './live-kit.js'

t.setTimeout(90_000)

/** The bar for a microphone, from the moment at which the server answers again. */
const BACK_MS = 3_000
const REPLY_TICKS = 15

t.test('the sound server dies in the middle of a reply and comes back: the reply is told, and the next one is heard', { timeout: 60_000 }, async t => {
  await using server = await SoundServer.start({ loopback: false })
  server.useHere()
  const person = Float32Array.from({ length: 8_000 }, (_, i) => 0.4 * Math.sin(i / 7))
  const model = new ScriptedModel(attentive(REPLY_TICKS))
  await using talk = await openTalk(model, { config: { microphone: { ...defaults.microphone, driver: 'pulse', device: 'mic' }, speaker: { driver: 'speaker' } } as Partial<typeof defaults> })
  for (let round = 1; round <= 2; round++) {
    const sounds = (): boolean => talk.events.some(e => e.type === 'first-sound' && e.turn === talk.turns().length + 1)
    await server.play(person, 16_000, 'room')
    t.ok(await until(sounds, 5_000), `round ${round}: it answers`)
    await systemClock.sleep(300)
    const ticks = model.ticks.length
    await server.kill()
    t.ok(await until(() => talk.turns().length === round * 2 - 1, 5_000), 'the turn is told without a server')
    t.ok(talk.turns().at(-1) && (talk.turns().at(-1)?.heardMs ?? 0) < (talk.turns().at(-1)?.spokenMs ?? 0), 'not all of it was heard')
    t.ok(model.ticks.length > ticks + 5, 'time went on for the model')
    await server.restart()
    await using recording = await server.record('spk.monitor')
    const backAt = performance.now()
    // Somebody who is not answered says it again.
    while (!sounds() && performance.now() - backAt < BACK_MS + 2_000) {
      await server.play(person, 16_000, 'room')
      await until(sounds, 700)
    }
    t.comment(`it answers ${(performance.now() - backAt).toFixed(0)} ms after the server is back`)
    t.ok(performance.now() - backAt < BACK_MS + 2_000, 'it hears again')
    t.ok(await until(() => talk.turns().length === round * 2, 10_000), 'the next turn is told')
    t.ok(recording.firstSoundAt(0.05), 'and the new server hears its reply')
    t.ok((talk.turns().at(-1)?.heardMs ?? 0) > 300, `${talk.turns().at(-1)?.heardMs} ms were heard`)
  }
})
