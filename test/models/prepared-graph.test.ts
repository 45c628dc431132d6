import { mkdtemp, readFile, readdir, rm, stat, utimes, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import t, { type Test } from 'tap'
import { systemClock } from '../../base/clock.js'
import { openInProcess, openSession } from '../../models/engine/index.js'
import { PreparedGraph, type Load } from '../../models/ladder/prepared-graph.js'
import { tick, tinyBundle } from './tiny-bundle.js'

t.setTimeout(60_000)

async function folderOf(t: Test): Promise<string> {
  const folder = await mkdtemp(join(tmpdir(), 'parley-graphs-'))
  t.teardown(() => rm(folder, { recursive: true, force: true, maxRetries: 5 }))
  return join(folder, 'graphs')
}

const kept = async (folder: string): Promise<string[]> => (await readdir(folder).catch(() => [])).filter(name => name.endsWith('.onnx'))

/** It is written behind the back of the one who loads: waits for it. */
async function settled(folder: string, files = 1): Promise<string[]> {
  for (const end = systemClock.now() + 10_000; systemClock.now() < end; await systemClock.sleep(10)) {
    const names: string[] = await readdir(folder).catch(() => [])
    if (names.includes('hashes.json') && !names.some(name => name.endsWith('.tmp')) && (await kept(folder)).length === files) return kept(folder)
  }
  throw new Error(`not ${files} graphs in 10 s: ${await readdir(folder)}`)
}

/** A stand-in for ONNX Runtime that notes what it was asked for, and writes what it is told to. */
function loader(refuse: (load: Load) => boolean = () => false) {
  const asked: Load[] = []
  const create = async (load: Load): Promise<string> => {
    asked.push(load)
    if (load.write !== undefined) await writeFile(load.write, 'rewritten')
    if (refuse(load)) throw new Error('no')
    return load.rewritten ? 'from the disk' : 'from the graph'
  }
  return { asked, create }
}

t.test('the second start loads the graph that the first has rewritten, and answers the same', async t => {
  await using bundle = await tinyBundle()
  const graphFolder = await folderOf(t)
  const heard = async (): Promise<Float32Array[]> => {
    await using session = await openInProcess(bundle.folder, { providers: ['cpu'], cacheFolder: bundle.folder, graphFolder })
    const out: Float32Array[] = []
    for (let i = 0; i < 4; i++) out.push((await session.step(tick(i * 80, { speak: true }))).speech as Float32Array)
    return out
  }
  const first = await heard()
  const [name] = await settled(graphFolder)
  const before = await stat(join(graphFolder, name as string))
  t.same(await heard(), first)
  t.same((await stat(join(graphFolder, name as string))).mtimeMs, before.mtimeMs, 'it was not written again')
})

t.test('a session in its own process keeps it in the cache folder', async t => {
  await using bundle = await tinyBundle()
  const cacheFolder = join(await folderOf(t), 'cache')
  await using session = await openSession(bundle.folder, { providers: ['cpu'], cacheFolder, selfTest: 'never' })
  t.equal(session.provider, 'cpu')
  t.equal((await settled(join(cacheFolder, 'graphs'))).length, 1)
})

t.test('another graph, another version or other settings find nothing', async t => {
  const folder = await folderOf(t)
  await new PreparedGraph({ folder, sha256: 'a' }, 'one').open('graph', loader().create)
  await settled(folder)
  for (const [sha256, tie] of [['b', 'one'], ['a', 'two']] as const) {
    const { asked, create } = loader()
    t.equal(await new PreparedGraph({ folder, sha256 }, tie).open('graph', create), 'from the graph')
    t.equal(asked.length, 1)
    await settled(folder, 2)
  }
})

t.test('a file that was changed is not loaded, and made anew', async t => {
  const folder = await folderOf(t)
  const graph = new PreparedGraph({ folder, sha256: 'a' }, 'one')
  await graph.open('graph', loader().create)
  const [name] = await settled(folder)
  await writeFile(join(folder, name as string), 'rewrotten')
  t.equal(await graph.open('graph', loader().create), 'from the graph')
  for (let i = 0; i < 500 && (await readFile(join(folder, name as string), 'utf8')) !== 'rewritten'; i++) await systemClock.sleep(10)
  t.equal(await readFile(join(folder, name as string), 'utf8'), 'rewritten')
})

t.test('one that cannot be loaded is removed, the graph itself is loaded, and it is not made again', async t => {
  const folder = await folderOf(t)
  const graph = new PreparedGraph({ folder, sha256: 'a' }, 'one')
  await graph.open('graph', loader().create)
  await settled(folder)
  const { asked, create } = loader(load => load.rewritten)
  t.equal(await graph.open('graph', create), 'from the graph')
  t.equal(await graph.open('graph', create), 'from the graph')
  t.same(asked.map(load => [load.rewritten, load.write]), [[true, undefined], [false, undefined], [false, undefined]], 'nor is it written and tried at each start')
  t.same(await kept(folder), [])
})

t.test('a full disk or a folder that cannot be made costs time and nothing else', async t => {
  const folder = await folderOf(t)
  const full = loader(load => load.write !== undefined)
  t.equal(await new PreparedGraph({ folder, sha256: 'a' }, 'one').open('graph', full.create), 'from the graph')
  t.same(await readdir(folder), [], 'nothing is left of it')
  const file = join(folder, 'a-file')
  await writeFile(file, '')
  const nowhere = loader()
  t.equal(await new PreparedGraph({ folder: join(file, 'graphs'), sha256: 'a' }, 'one').open('graph', nowhere.create), 'from the graph')
  t.same(nowhere.asked.map(load => load.write), [undefined])
})

t.test('a graph that cannot be loaded at all says why', async t => {
  const folder = await folderOf(t)
  await t.rejects(new PreparedGraph({ folder, sha256: 'a' }, 'one').open('graph', loader(() => true).create), { message: 'no' })
})

t.test('two are kept, and what a power cut left is removed', async t => {
  const folder = await folderOf(t)
  await new PreparedGraph({ folder, sha256: 'a' }, 'one').open('graph', loader().create)
  await settled(folder)
  const left = join(folder, '.0123.tmp')
  await writeFile(left, 'half')
  await utimes(left, new Date(0), new Date(0))
  for (const sha256 of ['b', 'c', 'd']) {
    await new PreparedGraph({ folder, sha256 }, 'one').open('graph', loader().create)
    await settled(folder, 2)
  }
  t.equal((await kept(folder)).length, 2)
  t.equal(await new PreparedGraph({ folder, sha256: 'd' }, 'one').open('graph', loader().create), 'from the disk')
})
