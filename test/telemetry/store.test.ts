import { execFileSync } from 'node:child_process'
import { copyFile, mkdir, readdir, readFile, stat, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import t from 'tap'
import { SegmentRing } from '../../runtime/telemetry/store/ring.js'
import { encodeRecord, scanRecords } from '../../runtime/telemetry/store/record.js'
import { Folder } from './kit.js'

const MANY = 1_000_000
const body = (n: number): Buffer => Buffer.from(JSON.stringify({ n, pad: 'x'.repeat(n % 40) }))
const numbersOf = async (ring: SegmentRing): Promise<number[]> => (await ring.oldest(MANY)).map(r => JSON.parse(r.body.toString()).n as number)
const from1 = (n: number): number[] => Array.from({ length: n }, (_, i) => i + 1)

async function openRing(folder: string, bytes = MANY, segmentBytes?: number): Promise<SegmentRing> {
  const ring = new SegmentRing(folder, { bytes, ...(segmentBytes ? { segmentBytes } : {}) })
  await ring.open()
  return ring
}

async function bytesIn(folder: string): Promise<number> {
  const sizes = await Promise.all((await readdir(folder)).filter(n => n.endsWith('.seg')).map(async n => (await stat(join(folder, n))).size))
  return sizes.reduce((a, b) => a + b, 0)
}

t.test('a file cut off at any byte gives back every whole record, and takes new ones after them', async t => {
  await using folder = await Folder.make()
  const ring = await openRing(join(folder.path, 'whole'))
  for (const n of from1(8)) await ring.append(body(n)).stored
  const name = '0000000000000001.seg'
  const bytes = await readFile(join(folder.path, 'whole', name))
  const ends = from1(8).map(n => scanRecords(bytes).records.slice(0, n).reduce((sum, r) => sum + encodeRecord(r.seq, r.body).length, 0))
  for (let cut = 0; cut <= bytes.length; cut++) {
    const at = join(folder.path, `cut${cut}`)
    await mkdir(at)
    await copyFile(join(folder.path, 'whole', 'cursor.json'), join(at, 'cursor.json'))
    await writeFile(join(at, name), bytes.subarray(0, cut))
    const again = await openRing(at)
    const whole = ends.filter(end => end <= cut).length
    await again.append(body(99)).stored
    const have = await numbersOf(again)
    await again.close()
    if (JSON.stringify(have) !== JSON.stringify([...from1(whole), 99])) t.fail(`cut at ${cut}: ${have}`)
  }
  await ring.close()
  t.pass(`${bytes.length + 1} cuts`)
})

t.test('a damaged byte anywhere costs the record it is in, and is counted as one lost', async t => {
  await using folder = await Folder.make()
  const ring = await openRing(folder.path)
  for (const n of from1(20)) await ring.append(body(n)).stored
  await ring.close()
  const path = join(folder.path, '0000000000000001.seg')
  const bytes = await readFile(path)
  bytes[Math.floor(bytes.length / 2)]! ^= 0xff
  await writeFile(path, bytes)
  const again = await openRing(folder.path)
  const have = await numbersOf(again)
  t.equal(have.length, 19)
  t.same(have, [...have].sort((a, b) => a - b), 'in order')
  t.equal(again.dropped, 1)
  t.equal(again.pending, 19)
  await again.close()
})

t.test('the limit holds: the oldest go, and every one of them is counted, also over a crash', async t => {
  await using folder = await Folder.make()
  const LIMIT = 20_000
  const ring = await openRing(folder.path, LIMIT, 2_000)
  for (const n of from1(2_000)) {
    await ring.append(body(n)).stored
    if (n % 100 === 0 && await bytesIn(folder.path) > LIMIT) t.fail(`over the limit after ${n}`)
  }
  const left = await numbersOf(ring)
  t.equal(left.at(-1), 2_000, 'the newest is there')
  t.same(left, from1(2_000).slice(-left.length), 'no holes')
  t.equal(ring.dropped, 2_000 - left.length)
  const again = await openRing(folder.path, LIMIT, 2_000) // as after a kill: the first was never closed
  t.equal(again.dropped, 2_000 - left.length)
  t.equal(again.pending, left.length)
  await again.close()
  await ring.close()
})

t.test('what was answered is not handed out again, in any order of answers, and its files go', async t => {
  await using folder = await Folder.make()
  const ring = await openRing(folder.path, MANY, 500)
  for (const n of from1(100)) await ring.append(body(n)).stored
  for (const n of [100, 99, 50, ...from1(40)]) ring.ack(n)
  t.same(await numbersOf(ring), from1(98).filter(n => n > 40 && n !== 50))
  await ring.close()
  const again = await openRing(folder.path, MANY, 500)
  t.same(await numbersOf(again), from1(98).filter(n => n > 40 && n !== 50))
  t.equal(again.dropped, 0)
  for (const n of from1(100)) again.ack(n)
  await again.close()
  t.equal(await bytesIn(folder.path) <= 500, true, 'only the file that is written to may remain')
})

const mayMount = process.getuid?.() === 0
t.test('a full disk loses nothing that fits in memory, harms nothing on it, and goes on when there is room', { skip: mayMount ? false : 'only root can mount a small disk' }, async t => {
  await using folder = await Folder.make()
  const disk = join(folder.path, 'disk')
  await mkdir(disk)
  execFileSync('mount', ['-t', 'tmpfs', '-o', 'size=64k', 'tmpfs', disk], { stdio: 'ignore' })
  try {
    const ring = await openRing(join(disk, 'ring'), MANY, 8_000)
    await writeFile(join(disk, 'others'), Buffer.alloc(40_000))
    let stored = 0
    while (ring.errors === 0 && stored < 2_000) await ring.append(body(++stored)).stored
    t.ok(ring.errors > 0, `full after ${stored}`)
    for (let i = 0; i < 100; i++) await ring.append(body(++stored)).stored
    t.same(await numbersOf(ring), from1(stored), 'all are there, in order')
    execFileSync('rm', [join(disk, 'others')])
    await ring.append(body(++stored)).stored
    t.equal(ring.dropped, 0)
    const again = await openRing(join(disk, 'ring'), MANY, 8_000)
    t.same(await numbersOf(again), from1(stored), 'and now on disk')
    await again.close()
    await ring.close()
  } finally {
    execFileSync('umount', ['-l', disk])
  }
})
