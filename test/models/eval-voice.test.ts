import t from 'tap'
import { Random } from '../../models/engine/random.js'
import { measureVoice } from '../../models/eval/voice-measure.js'

const RATE = 16_000
const second = (value: (t: number) => number): Float32Array => Float32Array.from({ length: RATE }, (_, i) => value(i / RATE))
/** A voice: many partials of one pitch. */
const voice = (pitch: number, gain = 0.1): Float32Array => second(x => gain * [1, 2, 3, 4, 5].reduce((sum, k) => sum + Math.sin(2 * Math.PI * pitch * k * x) / k, 0))
const breath = (): Float32Array => {
  const random = new Random(3)
  return second(() => 0.1 * (random.next() * 2 - 1))
}

t.test('a voice has its pitch, not an octave of it', async t => {
  for (const pitch of [75, 110, 180, 260]) {
    const measure = measureVoice(voice(pitch), RATE)
    t.ok(Math.abs((measure?.pitch ?? 0) / pitch - 1) < 0.03, `${measure?.pitch} for ${pitch}`)
    t.ok((measure?.voiced ?? 0) > 0.95)
  }
})

t.test('breath has no voice', async t => {
  t.ok((measureVoice(breath(), RATE)?.voiced ?? 1) < 0.05)
})

t.test('half as loud is six decibels less, and pauses do not count', async t => {
  const paused = new Float32Array(3 * RATE)
  paused.set(voice(110, 0.05), RATE)
  t.ok(Math.abs((measureVoice(voice(110), RATE)?.level ?? 0) - (measureVoice(paused, RATE)?.level ?? 0) - 6) < 0.5)
})

t.test('silence is nothing to measure', async t => {
  t.equal(measureVoice(new Float32Array(RATE), RATE), undefined)
  t.equal(measureVoice(new Float32Array(0), RATE), undefined)
})
