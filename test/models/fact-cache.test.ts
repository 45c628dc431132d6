import { mkdtemp, readFile, readdir, rm, utimes, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import t, { type Test } from 'tap'
import { FactCache } from '../../models/engine/fact-cache.js'
import { openInProcess, openSession } from '../../models/engine/index.js'
import type { Backend } from '../../models/ladder/backend.js'
import { onnxruntime } from '../../models/ladder/onnxruntime.js'
import { tick, tinyBundle } from './tiny-bundle.js'

const bundle = await tinyBundle()
t.teardown(() => bundle[Symbol.asyncDispose]())
const LINES = ['battery: 9', 'restroom: left']
/** 2 facts of <fact>, key, colon, value. */
const TOKENS = 8

async function folderOf(t: Test): Promise<string> {
  const folder = await mkdtemp(join(tmpdir(), 'parley-facts-'))
  t.teardown(() => rm(folder, { recursive: true, force: true }))
  return folder
}

/** What a tick attends to after the facts of `sets`, and how many steps reading them took. */
async function read(factFolder: string, ...sets: (string[] | [string[], string[]])[]): Promise<{ attended: Float32Array; steps: number }> {
  let steps = 0
  const backend: Backend = {
    version: onnxruntime.version,
    need: provider => onnxruntime.need(provider),
    create: async (file, provider) => {
      const graph = await onnxruntime.create(file, provider)
      return { inputs: graph.inputs, outputs: graph.outputs, run: feeds => { steps++; return graph.run(feeds) }, release: () => graph.release(), endProfiling: () => graph.endProfiling() }
    },
  }
  await using session = await openInProcess(bundle.folder, { providers: ['cpu'], cacheFolder: bundle.folder, factFolder, backend })
  steps = 0 // the ladder's own run
  for (const set of sets) await (isPair(set) ? session.setFacts(...set) : session.setFacts(set))
  const taken = steps
  return { attended: (await session.step(tick(0, { speak: true }))).speech as Float32Array, steps: taken }
}

/** The lasting and the passing ones apart. */
const isPair = (set: string[] | [string[], string[]]): set is [string[], string[]] => Array.isArray(set[0])

t.test('a second start with the same facts runs no step for them and attends to the same', async t => {
  const folder = await folderOf(t)
  const first = await read(folder, LINES)
  t.equal(first.steps, TOKENS)
  const second = await read(folder, LINES)
  t.equal(second.steps, 0)
  t.same(second.attended, first.attended)
  const part = await read(folder, [LINES[0] as string], LINES)
  t.equal(part.steps, TOKENS / 2, 'the second fact alone comes from the disk')
  t.same(part.attended, first.attended)
})

t.test('facts that pass are read behind the others at each start, and never come to the disk', async t => {
  const folder = await folderOf(t)
  const [lasting, passing] = [[LINES[1] as string], [LINES[0] as string]]
  const first = await read(folder, [lasting, passing])
  t.equal(first.steps, TOKENS)
  const second = await read(folder, [lasting, passing])
  t.equal(second.steps, TOKENS / 2, 'of the one that passes alone')
  t.same(second.attended, first.attended)
  t.same(first.attended, (await read(await folderOf(t), [...LINES].reverse())).attended, 'it is a fact as others are')
  t.equal((await readdir(folder)).length, 1)
})

t.test('other facts, or the same in another order, are read', async t => {
  const folder = await folderOf(t)
  await read(folder, LINES)
  t.equal((await read(folder, [...LINES].reverse())).steps, TOKENS)
  t.equal((await read(folder, ['battery: 9', 'restroom: right'])).steps, TOKENS)
})

t.test('a damaged or a cut file is not believed: the facts are read, and the file is made anew', async t => {
  const folder = await folderOf(t)
  const { attended } = await read(folder, LINES)
  const [name = ''] = await readdir(folder)
  const good = await readFile(join(folder, name))
  const flipped = Buffer.from(good)
  flipped[100] = (flipped[100] as number) ^ 1
  for (const spoilt of [flipped, good.subarray(0, 500), Buffer.alloc(0)]) {
    await writeFile(join(folder, name), spoilt)
    const again = await read(folder, LINES)
    t.equal(again.steps, TOKENS)
    t.same(again.attended, attended)
    t.same(await readFile(join(folder, name)), good)
  }
})

t.test('a folder that cannot be made costs nothing but the steps', async t => {
  const file = join(await folderOf(t), 'file')
  await writeFile(file, '')
  t.equal((await read(join(file, 'facts'), LINES)).steps, TOKENS)
})

t.test('eight sets are kept, the least recently used go; what a power cut left goes too', async t => {
  const folder = await folderOf(t)
  const cache = new FactCache(folder, { graph: 'a', provider: 'cpu', floatsPerToken: 2 })
  const long = new Date(Date.now() - 3_600_000)
  await cache.keep([0], new Float32Array([1, 2]))
  const [first = ''] = await readdir(folder)
  await utimes(join(folder, first), long, long)
  await writeFile(join(folder, '.left.tmp'), '')
  await utimes(join(folder, '.left.tmp'), long, long)
  await writeFile(join(folder, '.now.tmp'), '')
  for (let n = 1; n < 8; n++) await cache.keep([n], new Float32Array([n, n]))
  t.same(await cache.find([0]), new Float32Array([1, 2]), 'all eight are there; used just now')
  const [second = ''] = (await readdir(folder)).filter(name => name.endsWith('.facts') && name !== first)
  await utimes(join(folder, second), long, long)
  await cache.keep([8], new Float32Array([8, 8]))
  const names = await readdir(folder)
  t.equal(names.filter(name => name.endsWith('.facts')).length, 8)
  t.ok(names.includes(first))
  t.notOk(names.includes(second))
  t.ok(names.includes('.now.tmp'), 'another process may be writing it')
  t.notOk(names.includes('.left.tmp'))
})

t.test('another graph or provider finds nothing', async t => {
  const folder = await folderOf(t)
  await new FactCache(folder, { graph: 'a', provider: 'cpu', floatsPerToken: 1 }).keep([1], new Float32Array([1]))
  t.ok(await new FactCache(folder, { graph: 'a', provider: 'cpu', floatsPerToken: 1 }).find([1]))
  t.equal(await new FactCache(folder, { graph: 'b', provider: 'cpu', floatsPerToken: 1 }).find([1]), undefined)
  t.equal(await new FactCache(folder, { graph: 'a', provider: 'cuda', floatsPerToken: 1 }).find([1]), undefined)
})

t.test('a model in its child process keeps its facts in the cache folder, or not at all', async t => {
  const folder = await folderOf(t)
  const facts = async (keepFacts: boolean): Promise<string[]> => {
    await using session = await openSession(bundle.folder, { providers: ['cpu'], cacheFolder: folder, keepFacts })
    await session.setFacts(LINES)
    const end = performance.now() + 5_000
    for (;;) {
      const names = await readdir(join(folder, 'facts')).catch(() => [])
      if (names.some(n => n.endsWith('.facts')) || performance.now() > end || !keepFacts) return names
      await session.step(tick(0))
    }
  }
  t.same(await facts(false), [])
  t.equal((await facts(true)).length, 1)
})
