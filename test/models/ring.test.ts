import t from 'tap'
import { openInProcess } from '../../models/engine/index.js'
import { CLOSED, KvRing } from '../../models/engine/ring.js'
import { id, tick, tinyBundle, tinyTokenizer } from './tiny-bundle.js'
import { ATTENDED, TINY, traceLevel } from './tiny-graph.js'
import { naiveAttention, type Seen } from './naive-step.js'

const tokenizer = tinyTokenizer()
const bundle = await tinyBundle()
t.teardown(() => bundle[Symbol.asyncDispose]())
const options = { providers: ['cpu'], cacheFolder: bundle.folder } as const

function factsOf(lines: readonly string[]): Seen[] {
  return lines.flatMap(line => {
    const [key, value] = line.split(': ') as [string, string]
    const fact = [id('<fact>'), ...tokenizer.encode(key), id(':'), ...tokenizer.encode(value)]
    return fact.map((token, i) => ({ token, level: traceLevel(fact[i - 2] ?? 0, fact[i - 1] ?? 0) }))
  }).map((seen, position) => ({ ...seen, position }))
}

function worst(found: Float32Array, expected: readonly number[]): number {
  return Math.max(...expected.map((x, i) => Math.abs(x - (found[i] as number))))
}

t.test('through three rounds of the ring, attention equals one computed from the whole history', async t => {
  await using session = await openInProcess(bundle.folder, options)
  const lines = ['battery: 9', 'restroom: left']
  await session.setFacts(lines)
  const facts = factsOf(lines)
  const stream: Seen[] = []
  let error = 0
  for (let position = 0; position < 3 * TINY.stream + 5; position++) {
    const now: Seen = { token: 0, level: Math.fround(Math.sin(position)), position }
    const said = await session.step(tick(position * 80, { speak: true, level: now.level }))
    error = Math.max(error, worst(said.speech as Float32Array, naiveAttention(tokenizer.size, facts, stream.slice(-TINY.stream), now)))
    stream.push(now)
  }
  t.ok(error < 1e-5, `worst difference ${error}`)
})

t.test('facts replaced in the middle of a talk are read anew, the unchanged ones in front are kept', async t => {
  await using session = await openInProcess(bundle.folder, options)
  const stream: Seen[] = []
  let error = 0
  for (const lines of [['battery: 9', 'restroom: left'], ['battery: 9', 'restroom: right'], [], ['muffin: 2']]) {
    await session.setFacts(lines)
    for (let n = 0; n < 3; n++) {
      const position = stream.length
      const now: Seen = { token: 0, level: 0.25, position }
      const said = await session.step(tick(position, { speak: true, level: 0.25 }))
      error = Math.max(error, worst(said.speech as Float32Array, naiveAttention(tokenizer.size, factsOf(lines), stream, now)))
      stream.push(now)
    }
  }
  t.ok(error < 1e-5, `worst difference ${error}`)
})

t.test('facts read in one go, or after a kept part of them, give the same keys and values', async t => {
  const attended = async (...sets: string[][]): Promise<Float32Array> => {
    await using session = await openInProcess(bundle.folder, options)
    for (const lines of sets) await session.setFacts(lines)
    return (await session.step(tick(0, { speak: true }))).speech as Float32Array
  }
  const lines = ['battery: 9', 'restroom: left']
  const inOneGo = await attended(lines)
  t.same(await attended(['battery: 9'], lines), inOneGo, 'a fact more')
  t.same(await attended(['battery: 9', 'restroom: right'], lines), inOneGo, 'the end of a fact changed')
  t.same(await attended(['battery: 9', 'restroom: left', 'muffin: 2'], lines), inOneGo, 'a fact fewer')
})

t.test('a state of facts is not seen by ticks, and reading facts leaves the states of ticks alone', async t => {
  await using session = await openInProcess(bundle.folder, options)
  const step = async (level: number): Promise<number[]> => [...((await session.step(tick(0, { speak: true, level }))).speech as Float32Array).subarray(ATTENDED)]
  await step(1)
  session.tell('battery 9')
  await step(2)
  await session.setFacts(['battery: 9'])
  const told = await step(3)
  t.same(told.slice(0, 4), [1, 2, 3, 3], 'the ear and the codec go on where they were')
  t.same(told.slice(7, 9), [0, 0], 'the fact trace is zeros')
})

t.test('a ring: what is new lies over the oldest, nothing else moves; facts leave it alone, a reset empties it', async t => {
  await using session = await openInProcess(bundle.folder, options)
  const past = async (level: number): Promise<number[]> => [...((await session.step(tick(0, { speak: true, level }))).speech as Float32Array).subarray(ATTENDED + 9, ATTENDED + 21)]
  t.same(await past(1), Array(12).fill(0))
  t.same(await past(2), [1, -1, 0, 0, 0, 0, 10, -10, 0, 0, 0, 0])
  await session.setFacts(['battery: 9'])
  t.same(await past(3), [1, -1, 2, -2, 0, 0, 10, -10, 20, -20, 0, 0])
  await past(4)
  t.same(await past(5), [4, -4, 2, -2, 3, -3, 40, -40, 20, -20, 30, -30])
  await session.reset()
  t.same(await past(6), Array(12).fill(0))
  t.same(await past(7), [6, -6, 0, 0, 0, 0, 60, -60, 0, 0, 0, 0], 'it begins at its beginning again')
})

t.test('a graph whose ring gives another number of slots than the manifest says is refused', async t => {
  await using wrong = await tinyBundle(manifest => { const state = manifest.graphs['step']?.states.find(s => s.name === 'past'); if (state) state.slots = 3 })
  await t.rejects(openInProcess(wrong.folder, options), { message: /output past_new is 1 × 2 × 2, and the manifest gives 1 × 2 × 3/ })
})

t.test('facts that do not fit are refused, and the old ones stay', async t => {
  await using session = await openInProcess(bundle.folder, options)
  await session.setFacts(['battery: 9'])
  await t.rejects(session.setFacts(Array.from({ length: 9 }, () => 'battery: 9')), { code: 'facts-too-long' })
  await t.rejects(session.setFacts(['no colon']), { code: 'facts-bad' })
  const said = await session.step(tick(0, { speak: true }))
  t.ok(worst(said.speech as Float32Array, naiveAttention(tokenizer.size, factsOf(['battery: 9']), [], { token: 0, level: 0, position: 0 })) < 1e-5)
})

t.test('states: the ear goes on, the codec starts again after silence, a reset clears both and the talk, not the facts', async t => {
  await using session = await openInProcess(bundle.folder, options)
  await session.setFacts(['battery: 9'])
  const step = async (level: number): Promise<number[]> => [...((await session.step(tick(0, { speak: true, level }))).speech as Float32Array).subarray(ATTENDED, ATTENDED + 5)]
  t.same(await step(1), [0, 0, 1, 1, 1])
  t.same(await step(2), [0, 1, 2, 2, 1])
  t.equal((await session.step(tick(0, { level: 3 }))).speech, undefined)
  t.same(await step(4), [2, 3, 4, 1, 1], 'the ear heard the silent tick, the codec counts from 1')
  await session.reset()
  t.same(await step(5), [0, 0, 5, 1, 1])
  await session.reset()
  const said = await session.step(tick(0, { speak: true }))
  t.ok(worst(said.speech as Float32Array, naiveAttention(tokenizer.size, factsOf(['battery: 9']), [], { token: 0, level: 0, position: 0 })) < 1e-5)
})

t.test('the text channel gives a token a tick, events and typed turns in their order', async t => {
  await using session = await openInProcess(bundle.folder, options)
  session.tell('battery 9')
  session.tell('ping', 'typed')
  const read: string[] = []
  let answer = ''
  for (let n = 0; n < 9; n++) {
    const said = await session.step(tick(0, { speak: true }))
    read.push(tokenizer.pieces[said.speech?.[ATTENDED + 6] as number] as string)
    answer += said.text
  }
  t.same(read, ['<event>', '▁battery', '▁9', '<end>', '<typed>', '▁ping', '<end>', '<none>', '<none>'])
  t.equal(answer, ' pong', 'the tiny model answers ping')
})

t.test('the same seed gives the same noise, another seed another', async t => {
  const noise = async (seed: number): Promise<number | undefined> => {
    await using session = await openInProcess(bundle.folder, { ...options, seed })
    return (await session.step(tick(0, { speak: true }))).speech?.[ATTENDED + 5]
  }
  t.equal(await noise(1), await noise(1))
  t.not(await noise(1), await noise(2))
})

t.test('an idle tick is passed over after its time, one with words stays until the ring comes round', async t => {
  const ring = new KvRing({ heads: 1, headSize: 2, factSlots: 1, streamSlots: 8, idleTicks: 3 })
  const none = new Float32Array(0)
  const open: number[][] = []
  for (let position = 0; position < 12; position++) {
    ring.writeTick(none, none, position !== 1)
    open.push([...ring.mask.subarray(1)].flatMap((m, slot) => (m === CLOSED ? [] : [slot])))
  }
  t.same(open[4], [1, 2, 3, 4], 'the words, and the last three ticks')
  t.same(open[8], [0, 1, 6, 7], 'the words are still there')
  t.same(open[9], [0, 1, 7], 'in their slot is an idle tick now')
  t.same(open[11], [1, 2, 3], 'and that goes, too')
})
