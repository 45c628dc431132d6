import t from 'tap'
import { resample, Resampler } from '../../base/resample.js'
import { tone } from './host.js'

/** dB between a tone and what differs from it, away from the ends. */
function snr(given: Float32Array, wanted: Float32Array): number {
  let signal = 0
  let error = 0
  for (let i = 1_000; i < given.length - 1_000; i++) {
    signal += wanted[i]! ** 2
    error += (given[i]! - wanted[i]!) ** 2
  }
  return 10 * Math.log10(signal / error)
}

for (const [from, to] of [[48_000, 16_000], [44_100, 16_000], [8_000, 16_000], [22_050, 16_000], [16_000, 48_000], [16_000, 44_100], [12_345, 16_000]] as const) {
  t.test(`${from} to ${to} Hz keeps a tone to 90 dB, in its place`, async t => {
    for (const hz of [440, Math.min(from, to) * 0.4]) {
      const figure = snr(resample(tone(500, { rate: from, hz }), from, to), tone(500, { rate: to, hz }))
      t.comment(`${hz} Hz: ${figure.toFixed(1)} dB`)
      t.ok(figure > 90, `${hz} Hz`)
    }
  })
}

t.test('a tone above the new limit is 85 dB down', async t => {
  for (const hz of [8_200, 9_500, 12_000, 20_000]) {
    const left = resample(tone(500, { rate: 48_000, hz, level: 1 }), 48_000, 16_000).slice(1_000, -1_000)
    const power = left.reduce((sum, s) => sum + s * s, 0) / left.length
    t.ok(10 * Math.log10(power / 0.5) < -85, `${hz} Hz`)
  }
})

t.test('pieces of any size give the same as the whole, and as many samples as the time has', async t => {
  for (const [from, to] of [[44_100, 16_000], [16_000, 48_000], [11_025, 16_000], [16_000, 16_000]] as const) {
    const sound = tone(300, { rate: from })
    const resampler = new Resampler(from, to)
    const pieces: number[] = []
    for (let at = 0, size = 1; at < sound.length; at += size, size = (size * 7) % 401 + 1) pieces.push(...resampler.process(sound.subarray(at, at + size)))
    pieces.push(...resampler.flush())
    t.equal(pieces.length, Math.ceil((sound.length * to) / from))
    t.same(pieces, [...resample(sound, from, to)])
  }
})

t.test('it keeps nothing back longer than its delay', async t => {
  const resampler = new Resampler(48_000, 16_000)
  const given = resampler.process(new Float32Array(4_800)).length
  t.ok(given >= (0.1 - resampler.delay) * 16_000 - 1)
  t.ok(resampler.delay < 0.003, `${(resampler.delay * 1000).toFixed(2)} ms`)
})

t.test('a rate that is none is refused', async t => {
  for (const rate of [0, -1, 1.5, NaN]) t.throws(() => new Resampler(rate, 16_000), RangeError)
})
