import t from 'tap'
import { mkdir, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { ParleyError } from '../../base/errors.js'
import { decodeWav, readWav, WavReader } from '../../base/wav.js'
import { wavBytes, type WavShape } from './wav-bytes.js'

const shape = Float32Array.from({ length: 300 }, (_, i) => Math.sin(i))
const good = wavBytes(shape, { channels: 2 })

/** The same as a file over 4 GB would say it (EBU Tech 3306): the length in a chunk of its own. */
function long(wav: Buffer, dataBytes: number | undefined): Buffer {
  const out = Buffer.concat([Buffer.from('RF64\xff\xff\xff\xffWAVE', 'latin1'), dataBytes === undefined ? Buffer.alloc(0) : ds64(dataBytes), wav.subarray(12)])
  out.writeUInt32LE(0xffffffff, out.indexOf('data') + 4)
  return out
}

function ds64(dataBytes: number): Buffer {
  const chunk = Buffer.alloc(36)
  chunk.write('ds64')
  chunk.writeUInt32LE(28, 4)
  chunk.writeBigUInt64LE(BigInt(dataBytes), 16)
  return chunk
}

async function refusal(bytes: Uint8Array): Promise<ParleyError | undefined> {
  try {
    await decodeWav(bytes)
    return undefined
  } catch (error) {
    if (error instanceof ParleyError && /^wav-/.test(error.code)) return error
    throw error
  }
}

const bad: [string, Buffer, RegExp][] = [
  ['an empty file', Buffer.alloc(0), /0 bytes are too few/],
  ['text', Buffer.from('#!/bin/sh\necho this is not sound\n'), /does not begin with RIFF/],
  ['RF64 without its length', long(good, undefined), /ds64 chunk is missing/],
  ['RF64 that was cut', long(good, 2 ** 40), /claims 1099511627776 bytes, and 1200 are left/],
  ['RF64 whose writer was stopped', long(good, 0), /tells of no sound/],
  ['a cut header', good.subarray(0, 30), /ends inside its format/],
  ['a cut data chunk', good.subarray(0, good.length - 200), /its sound claims 1200 bytes, and 1000 are left/],
  ['no data chunk', good.subarray(0, 36), /ends before its sound/],
  ...([
    ['a rate of zero', { rate: 0 }, /sample rate of 0 Hz/],
    ['an absurd rate', { rate: 4_000_000_000 }, /sample rate of 4000000000 Hz/],
    ['no channels', { channels: 0 }, /0 channels/],
    ['too many channels', { channels: 2000 }, /2000 channels/],
    ['ADPCM', { tag: 2 }, /ADPCM/],
    ['A-law, extensible', { tag: 6, extensible: true }, /A-law/],
    ['16-bit float', { tag: 3 }, /16 bits a float sample/],
    ['a lying length', { claim: 0x70000000 }, /claims 1879048192 bytes/],
  ] as [string, WavShape, RegExp][]).map(([name, wav, why]): [string, Buffer, RegExp] => [name, wavBytes(shape, wav), why]),
]

for (const [name, bytes, why] of bad) {
  t.test(`refuses ${name}, and says so`, async t => t.match((await refusal(bytes))?.message, why))
}

t.test('a file in the format for more than 4 GB is read like any other', async t => {
  t.same(await decodeWav(long(good, 1_200)), await decodeWav(good))
  t.equal((await decodeWav(long(good, 400))).samples.length, 100, 'what stands behind its sound is none')
})

t.test('5,000 damaged files are read or refused with a WAV error, and nothing else happens', async t => {
  let seed = 42
  const random = (below: number): number => (seed = (Math.imul(seed, 1664525) + 1013904223) >>> 0) % below
  let refused = 0
  for (let n = 0; n < 5_000; n++) {
    const bytes = Buffer.from(good.subarray(0, random(4) === 0 ? random(good.length) : good.length))
    for (let k = random(6); k >= 0 && bytes.length; k--) bytes[random(Math.min(bytes.length, 60))] = random(256)
    if (await refusal(bytes)) refused++
  }
  t.comment(`${refused} of 5000 refused`)
  t.ok(refused > 1_000)
})

t.test('a header that claims gigabytes costs no memory', async t => {
  const before = process.memoryUsage().arrayBuffers
  for (let n = 0; n < 200; n++) await decodeWav(wavBytes(shape, { claim: 0xfffffff0 }))
  t.ok(process.memoryUsage().arrayBuffers - before < 50_000_000)
})

t.test('a folder, a missing file and a broken one name the path', async t => {
  const folder = t.testdir()
  await mkdir(join(folder, 'folder.wav'))
  await writeFile(join(folder, 'broken.wav'), good.subarray(0, 100))
  await t.rejects(WavReader.open(join(folder, 'folder.wav')), { code: 'wav-bad', message: /folder\.wav/ })
  await t.rejects(readWav(join(folder, 'missing.wav')), { code: 'wav-missing', message: /missing\.wav/ })
  await t.rejects(readWav(join(folder, 'broken.wav')), { code: 'wav-truncated', message: /broken\.wav/ })
})
