import t from 'tap'
import { SoundServer } from '../../drivers/room/sound-server.js'
import { speech } from '../drivers/host.js'
import { ScriptedModel, TICK, defaults, type Script } from './fakes.js'
import { openTalk, until } from './live-kit.js'

t.setTimeout(280_000)

/** Eight replies of 15 s with a second between them: 2 minutes of speech, eight beginnings and ends. */
const REPLIES = 8
const REPLY_TICKS = 187
const PAUSE_TICKS = 12
/** Mean square of a tick from which the model takes it for a person: −30 dB; the echo of our voice at full volume has −15. */
const LOUD = 0.001

const words = await Promise.all(['Front_Left', 'Rear_Center', 'Side_Left', 'Front_Center'].map(name => speech(name, 0.98)))
const voice = Float32Array.from(words.flatMap(w => [...w]))

/** Talks by itself, and stops as a model does when somebody speaks over it for two ticks. */
function talkative(replies: number, replyTicks: number): Script {
  let [next, left, loud, begun] = [0, 0, 0, 0]
  return (index, tick) => {
    const energy = tick.audio.reduce((sum, s) => sum + s * s, 0) / tick.audio.length
    loud = energy > LOUD ? loud + 1 : 0
    const speech = Float32Array.from({ length: TICK }, (_, i) => voice[(index * TICK + i) % voice.length] as number)
    if (left === 0) {
      if (begun === replies || ++next < PAUSE_TICKS) return {}
      ;[next, left] = [0, replyTicks]
      begun++
      return { mark: 'begin', text: ' la', speech }
    }
    if (loud >= 2) {
      left = 0
      return { mark: 'cut' }
    }
    return --left === 0 ? { mark: 'end', speech } : { speech }
  }
}

async function ownVoice(t: Tap, mode: 'gate' | 'off', replies: number, replyTicks: number): Promise<{ ended: string[]; heardMs: number; loudTicks: number; roomLoud: boolean }> {
  await using server = await SoundServer.start() // the microphone hears the speaker
  server.useHere()
  const model = new ScriptedModel(talkative(replies, replyTicks))
  await using talk = await openTalk(model, { config: { microphone: { ...defaults.microphone, driver: 'pulse', device: 'mic' }, speaker: { driver: 'speaker' }, playout: { ...defaults.playout, volume: 1 }, echo: { mode } } as Partial<typeof defaults> })
  await using recording = await server.record('mic')
  const limitMs = replies * (replyTicks + PAUSE_TICKS) * 80 + 10_000
  t.ok(await until(() => talk.turns().length === replies, limitMs), `${talk.turns().length} turns are over`)
  const loudTicks = model.ticks.filter(x => x.audio.reduce((sum, s) => sum + s * s, 0) / TICK > LOUD).length
  return { ended: talk.turns().map(e => e.ended), heardMs: talk.turns().reduce((sum, e) => sum + e.heardMs, 0), loudTicks, roomLoud: recording.samples().some(s => Math.abs(s) > 0.5) }
}
type Tap = typeof t

t.test('without the gate it interrupts itself: the test can fail', { timeout: 60_000 }, async t => {
  const { ended } = await ownVoice(t as Tap, 'off', 1, 40)
  t.same(ended, ['cut'])
})

t.test('two minutes of its own voice in its microphone at full volume: it never interrupts itself', { timeout: 200_000 }, async t => {
  const { ended, heardMs, loudTicks, roomLoud } = await ownVoice(t as Tap, 'gate', REPLIES, REPLY_TICKS)
  t.same(ended, Array(REPLIES).fill('end'))
  t.ok(heardMs > REPLIES * REPLY_TICKS * 80 - 2_000, `${heardMs} ms were heard`)
  t.ok(roomLoud, 'and the microphone heard it')
  t.ok(loudTicks <= 2, `${loudTicks} of ${REPLIES * REPLY_TICKS} ticks: a machine with too much to do may tear the sound, never twice in a row`)
})
