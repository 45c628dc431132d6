import t from 'tap'
import { MIC_RATE, type AudioFrame } from '../../base/frames.js'
import { systemClock } from '../../base/clock.js'
import type { Microphone } from '../../drivers/contract.js'
import { measureBareEcho } from '../../drivers/echo/bare-echo.js'
import { PlaybackReference } from '../../drivers/echo/reference.js'
import { FakeSpeaker, schema } from '../../drivers/speaker/fake.js'
import { testHost } from './host.js'

t.setTimeout(60_000)
/** The sound's way through the room, ms. */
const WAY = 60

/** Hears what the speaker plays, `gain` times as loud, over a hum of `noise`. */
class RoomMicrophone implements Microphone {
  readonly kind = 'microphone'
  readonly name = 'microphone'
  readonly rate = MIC_RATE
  #closed = false

  constructor(readonly reference: PlaybackReference, readonly gain: number, readonly noise: number) {}

  async *frames(): AsyncGenerator<AudioFrame> {
    for (let at = systemClock.now(); !this.#closed; at += 20) {
      await systemClock.sleep(at + 20 - systemClock.now())
      const own = this.reference.read(at - WAY, MIC_RATE / 50)
      yield { at, rate: MIC_RATE, samples: own.map((s, i) => this.gain * s + this.noise * Math.sin(i * 0.7)), dropped: 0 }
    }
  }

  health() {
    return { ok: true, lastProgressAt: 0, counters: {} }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#closed = true
  }
}

async function measured(gain: number, noise: number) {
  const host = testHost()
  await using speaker = new FakeSpeaker(schema.parse({ driver: 'fake' }), host)
  const reference = new PlaybackReference()
  speaker.tap(reference)
  return await measureBareEcho(new RoomMicrophone(reference, gain, noise), speaker, 0.6, host, 2)
}

t.test('the figure is how much softer the own voice comes back, and the room\'s noise is no part of it', async t => {
  for (const [gain, db] of [[1, 0], [0.5, 6], [0.02, 34]] as const) {
    const seen = await measured(gain, 0.002)
    t.equal(seen?.heard, true)
    t.ok(Math.abs((seen?.softerDb ?? NaN) - db) < 1.5, `${seen?.softerDb.toFixed(1)} dB, ${db} expected`)
  }
})

t.test('what is not heard over the room is softer by at least the distance to the room', async t => {
  const seen = await measured(0.001, 0.02)
  t.equal(seen?.heard, false)
  // Noise of speech's slope at volume 0.6 has some -22 dB, the hum -37.
  t.ok(seen && seen.softerDb > 8 && seen.softerDb < 25, `${seen?.softerDb.toFixed(1)} dB`)
})

t.test('a microphone that gives zeros cannot tell', async t => {
  t.equal(await measured(0, 0), undefined)
})
