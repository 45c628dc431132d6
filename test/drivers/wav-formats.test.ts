import t from 'tap'
import { decodeWav } from '../../base/wav.js'
import { wavBytes } from './wav-bytes.js'

const shape = Float32Array.from({ length: 400 }, (_, i) => 0.8 * Math.sin(i / 5))

for (const coding of ['u8', 's16', 's24', 's32', 'f32', 'f64'] as const) {
  for (const channels of [1, 2, 6]) {
    for (const extensible of [false, true]) {
      t.test(`reads ${coding}, ${channels} channels${extensible ? ', extensible' : ''}, mixed to mono`, async t => {
        const { rate, samples } = await decodeWav(wavBytes(shape, { coding, channels, rate: 44_100, extensible }))
        t.equal(rate, 44_100)
        t.equal(samples.length, shape.length)
        const step = coding === 'u8' ? 2 / 127 : 2 / 32_767 // writers scale by 127, readers by 128, and rounding
        t.ok(samples.every((s, i) => Math.abs(s - shape[i]!) <= step), `within ${step} of what was written`)
      })
    }
  }
}

t.test('skips chunks that it does not know, also of odd length', async t => {
  const { samples } = await decodeWav(wavBytes(shape, { before: [['LIST', 7], ['cue ', 12]] }))
  t.equal(samples.length, shape.length)
})

t.test('takes the largest lengths for unknown, as programs that write into a pipe leave them', async t => {
  for (const claim of [0xffffffff, 0x7ffff000, 0x80000000]) {
    t.equal((await decodeWav(wavBytes(shape, { claim }))).samples.length, shape.length)
  }
})

t.test('a float that is no number becomes silence, one too loud is clipped', async t => {
  const bytes = wavBytes(Float32Array.of(NaN, Infinity, 7, -7, 0.5), { coding: 'f32' })
  t.same([...(await decodeWav(bytes)).samples], [0, 0, 1, -1, 0.5])
})

t.test('sound of 12 or 20 bits stands in the upper bits of its bytes', async t => {
  for (const [coding, bits] of [['s16', 12], ['s24', 20]] as const) {
    const { samples } = await decodeWav(wavBytes(shape, { coding, bits }))
    t.ok(samples.every((s, i) => Math.abs(s - shape[i]!) <= 2 / 32_767), `${bits} bits`)
  }
})

t.test('a header that was never completed is refused, with what to do; an empty recording is none', async t => {
  await t.rejects(decodeWav(wavBytes(shape, { claim: 0 })), { code: 'wav-truncated', message: /800 bytes follow/, hint: /--ignore-length/ })
  t.equal((await decodeWav(wavBytes(new Float32Array(0)))).samples.length, 0)
})
