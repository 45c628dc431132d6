import t from 'tap'
import { readdir } from 'node:fs/promises'
import { join } from 'node:path'
import { readWav, WavReader, WavWriter } from '../../base/wav.js'
import { tone } from './host.js'

t.test('what is written piece by piece is read back the same', async t => {
  const path = join(t.testdir(), 'a.wav')
  const sound = tone(500)
  const writer = await WavWriter.open(path, 16_000)
  for (let at = 0; at < sound.length; at += 333) void writer.write(sound.subarray(at, at + 333))
  await writer.finish()
  await writer.finish() // may be called again
  const back = await readWav(path)
  t.equal(back.rate, 16_000)
  t.equal(back.samples.length, sound.length)
  t.ok(back.samples.every((s, i) => Math.abs(s - sound[i]!) < 1e-4))
})

t.test('the file is there only when it is finished; one given up leaves nothing', async t => {
  const folder = t.testdir()
  {
    await using writer = await WavWriter.open(join(folder, 'b.wav'), 16_000)
    await writer.write(tone(100))
    t.notOk((await readdir(folder)).includes('b.wav'))
  }
  t.same(await readdir(folder), [])
})

t.test('a folder in the place of the file is told when the file is opened', t =>
  t.rejects(WavWriter.open(t.testdir(), 16_000), { code: 'wav-write', message: /it is a folder/ }))

t.test('a folder that is missing is told when the file is opened', t =>
  t.rejects(WavWriter.open('/nonexistent/c.wav', 16_000), { code: 'wav-write', hint: /folder exist/ }))

t.test('reads in pieces what it reads at once', async t => {
  const path = join(t.testdir(), 'd.wav')
  const writer = await WavWriter.open(path, 8_000)
  await writer.write(tone(300, { rate: 8_000 }))
  await writer.finish()
  await using reader = await WavReader.open(path)
  const pieces: number[] = []
  for (let piece = await reader.read(77); piece.length; piece = await reader.read(77)) pieces.push(...piece)
  t.same(pieces, [...(await readWav(path)).samples])
})
