import t from 'tap'
import { Random } from '../../models/engine/random.js'
import { spokenOver } from '../../models/eval/sounds.js'
import { speechSpan } from '../../models/eval/speech-span.js'

const RATE = 16_000
/** A tone of `level` from `begin` to `end` ms in a second and a half of noise. */
function recording(level: number, begin: number, end: number, noise: number): Float32Array {
  const random = new Random(3)
  return Float32Array.from({ length: 1.5 * RATE }, (_, i) => {
    const ms = (i / RATE) * 1_000
    return (ms >= begin && ms < end ? level * Math.sin(i / 5) : 0) + noise * (random.next() * 2 - 1)
  })
}

t.test('speech ends with its last frame', async t => {
  t.match(speechSpan(recording(0.5, 500, 1_000, 0), RATE), { beginMs: 500, endMs: 1_000 })
})

t.test('an end inside a frame counts that frame', async t => {
  t.match(speechSpan(recording(0.5, 505, 1_005, 0), RATE), { beginMs: 500, endMs: 1_020 })
})

t.test('a tail more than 35 dB under the peak is not speech', async t => {
  const loud = recording(0.5, 500, 900, 0)
  const faint = recording(0.5 / 100, 900, 1_200, 0)
  t.match(speechSpan(loud.map((x, i) => x + (faint[i] as number)), RATE), { endMs: 900 })
})

t.test('a noisy room under quiet speech is not speech', async t => {
  t.match(speechSpan(recording(0.1, 500, 1_000, 0.005), RATE), { beginMs: 500, endMs: 1_000 })
})

t.test('zeros hold no speech', async t => {
  t.equal(speechSpan(new Float32Array(RATE), RATE), undefined)
})

t.test('a second person begins exactly when they should, without their own lead-in', async t => {
  const silent = { samples: new Float32Array(RATE / 2), span: { beginMs: 0, endMs: 0, room: 0 } }
  const second = { samples: recording(0.5, 500, 1_000, 0), span: { beginMs: 500, endMs: 1_000, room: 0 } }
  const mixed = spokenOver(silent, second, 2_000, RATE)
  t.match(speechSpan(mixed, RATE), { beginMs: 2_000, endMs: 2_500 })
  t.equal(mixed.length, 3 * RATE)
})
