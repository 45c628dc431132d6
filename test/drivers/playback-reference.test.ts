import t from 'tap'
import { PlaybackReference } from '../../drivers/echo/reference.js'
import { tone } from './host.js'

const loud = (samples: Float32Array): boolean => samples.every(s => s === 0.5)
const silent = (samples: Float32Array): boolean => samples.every(s => s === 0)

t.test('what was played is read at its time, with silence around it', async t => {
  const reference = new PlaybackReference()
  const frame = new Float32Array(320).fill(0.5)
  for (let n = 0; n < 5; n++) reference.played({ at: 1_000 + n * 20, rate: 16_000, samples: frame })
  t.ok(loud(reference.read(1_000, 1_600)))
  t.ok(silent(reference.read(900, 1_600)))
  t.ok(silent(reference.read(1_100, 1_600)))
  reference.played({ at: 90_000, rate: 16_000, samples: frame }) // far later: the ring went round
  t.ok(silent(reference.read(86_000, 4 * 16_000)) && loud(reference.read(90_000, 320)))
})

t.test('a cut takes back what had not sounded', async t => {
  const reference = new PlaybackReference()
  reference.played({ at: 500, rate: 16_000, samples: new Float32Array(1_600).fill(0.5) })
  reference.cut(540)
  t.ok(loud(reference.read(500, 640)) && silent(reference.read(540, 960)))
})

t.test('another rate is brought to 16 kHz, over the borders of frames', async t => {
  const reference = new PlaybackReference()
  const sound = tone(400, { rate: 48_000 })
  for (let at = 0; at < sound.length; at += 960) reference.played({ at: 2_000 + at / 48, rate: 48_000, samples: sound.subarray(at, at + 960) })
  const heard = reference.read(2_100, 3_200)
  const wanted = tone(300).subarray(1_600)
  t.ok(heard.every((s, i) => Math.abs(s - wanted[i]!) < 0.01))
})
