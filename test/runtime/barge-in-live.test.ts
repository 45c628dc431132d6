import t from 'tap'
import { systemClock } from '../../base/clock.js'
import { openDriver } from '../../drivers/table.js'
import { SoundServer } from '../../drivers/room/sound-server.js'
import { Random } from '../../models/engine/random.js'
import { PacedMicrophone } from '../../runtime/demo/paced-microphone.js'
import { ScriptedModel, attentive, silentLog } from './fakes.js'
import { openTalk, until } from './live-kit.js'

t.setTimeout(200_000)

const ROUNDS = 50
/** A reply is longer than any round, so that each is cut. */
const REPLY_TICKS = 60
/** What the server and the recorder still hold when the turn is told, ms. */
const SETTLE_MS = 40

t.test(`a person speaks over ${ROUNDS} replies, each at another moment, through the real speaker process and sound server: silence, and each turn is told once`, { timeout: 190_000 }, async t => {
  await using server = await SoundServer.start({ loopback: false })
  server.useHere()
  const microphone = new PacedMicrophone(systemClock)
  const speaker = await openDriver('speaker', 'speaker', {}, { clock: systemClock, log: silentLog, signal: new AbortController().signal })
  await using talk = await openTalk(new ScriptedModel(attentive(REPLY_TICKS)), { microphone, speaker })
  await using recording = await server.record('spk.monitor')
  const person = Float32Array.from({ length: 3_840 }, (_, i) => 0.4 * Math.sin(i / 7))
  const random = new Random(7)
  const sounds = (turn: number): boolean => talk.events.some(e => e.type === 'first-sound' && e.turn === turn)
  /** By the clock: the event is told up to a frame later than the sound that it tells of. */
  const soundsAt = (turn: number): number => talk.origin + (talk.events.find(e => e.type === 'first-sound' && e.turn === turn)?.at ?? NaN)

  await microphone.say(person)
  const silences: { readonly from: number; readonly to: number }[] = []
  for (let round = 1; round <= ROUNDS; round++) {
    if (!await until(() => sounds(round), 5_000)) return t.fail(`round ${round}: it does not answer`)
    await systemClock.sleep(random.next() * 700)
    void microphone.say(person) // the next answer is to these words
    if (!await until(() => talk.turns().length >= round, 3_000)) return t.fail(`round ${round}: the turn is never told`)
    const from = performance.now() + SETTLE_MS
    if (!await until(() => sounds(round + 1), 5_000)) return t.fail(`round ${round}: it does not answer the new words`)
    silences.push({ from, to: soundsAt(round + 1) - SETTLE_MS })
  }

  const turns = talk.turns()
  t.same(turns.map(e => e.turn), Array.from({ length: ROUNDS }, (_, i) => i + 1), 'each turn is told once, in order')
  t.same(new Set(turns.map(e => e.ended)), new Set(['cut']))
  t.ok(turns.every(e => e.interrupted && e.heardMs <= e.spokenMs), 'and says no more was heard than was spoken')
  await systemClock.sleep(300) // the recording is behind
  const samples = recording.samples()
  const at = (ms: number): number => Math.round(((ms - recording.startAt) * recording.rate) / 1_000)
  const late = silences.map(({ from, to }) => samples.subarray(at(from), at(to)).reduce((most, s) => Math.max(most, Math.abs(s)), 0))
  t.ok(silences.every(({ from, to }) => to > from), 'there is a silence to look at in each round')
  t.same(late.flatMap((level, i) => (level > 0.01 ? [`round ${i + 1}: ${level.toFixed(3)}`] : [])), [], 'nothing sounds after the flush')
})
