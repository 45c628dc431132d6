import { mkdtemp, readdir, rm, stat } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import t from 'tap'
import { ManualClock, systemClock } from '../../base/clock.js'
import { readWav, writeWav } from '../../base/wav.js'
import { loadBundle } from '../../models/bundle/load.js'
import { openSession, runGolden, type EngineSession } from '../../models/engine/index.js'
import { converse } from '../../runtime/converse/converse.js'
import type { ConversationEvent } from '../../runtime/conversation/events.js'
import { Knowledge } from '../../runtime/conversation/knowledge.js'
import { defaults, silentLog } from './fakes.js'

// The model that is shipped, through the real engine: what holds for the scripted models must hold for it.
t.setTimeout(240_000)

const ROOT = fileURLToPath(new URL('../../../', import.meta.url))
const PICO = join(ROOT, 'models/pico')
const fixture = (name: string): string => join(ROOT, 'test/fixtures', name)
const folder = await mkdtemp(join(tmpdir(), 'parley-pico-'))
t.teardown(() => rm(folder, { recursive: true, force: true }))

async function hold(input: string, pace: 'real' | 'fast', facts: readonly string[]): Promise<ConversationEvent[]> {
  const events: ConversationEvent[] = []
  await using session = await openSession(PICO, { providers: ['cpu'], cacheFolder: folder })
  await converse({ session, input, pace, facts, readings: [], output: join(folder, `${pace}.wav`), settings: defaults, onEvent: e => events.push(e), log: silentLog, signal: new AbortController().signal })
  return events
}

/** What it said, called and felt, without the times of the machine. */
const said = (events: readonly ConversationEvent[]): unknown[] => events.flatMap((e): unknown[] => {
  if (e.type === 'text') return [['text', e.at, e.text]]
  if (e.type === 'tool') return [['tool', e.at, e.name, e.args]]
  return e.type === 'turn' ? [['turn', e.text, e.style, e.ended]] : []
})

t.test('the shipped pico hears its golden utterance and answers from the facts', async t => {
  const bundle = await loadBundle(PICO)
  await using session = await openSession(bundle, { providers: ['cpu'], cacheFolder: folder })
  const { passed, missing, text } = await runGolden(session, bundle)
  t.ok(passed, `${text}: ${missing.join(', ')}`)
})

t.test('what ONNX Runtime rewrote at the first start of pico it can read at the second', async t => {
  const graphs = join(folder, 'graphs')
  const written = async (): Promise<{ name: string; mtimeMs: number }[]> => Promise.all((await readdir(graphs)).filter(name => name !== 'hashes.json').map(async name => ({ name, mtimeMs: (await stat(join(graphs, name))).mtimeMs })))
  for (let i = 0; i < 500 && !(await readdir(graphs)).includes('hashes.json'); i++) await systemClock.sleep(20)
  const before = await written()
  t.match(before.map(f => f.name), [/^[0-9a-f]{64}\.onnx$/], 'the test before has left one')
  await using session = await openSession(PICO, { providers: ['cpu'], cacheFolder: folder })
  t.equal(session.respawns, 0)
  t.same(await written(), before)
})

t.test('pico says the same words at the same ticks at the fast pace as at the real one', async t => {
  const facts = ['muffin: 2 euros', 'hours: 8 to 20']
  const input = fixture('what-does-a-muffin-cost.wav')
  const [real, fast] = [await hold(input, 'real', facts), await hold(input, 'fast', facts)]
  t.ok(said(fast).length > 2, 'it has something to say')
  t.same(said(fast), said(real))
  const reply = await readWav(join(folder, 'fast.wav'))
  t.ok(reply.samples.some(s => Math.abs(s) > 0.05), 'and it sounds')
})

t.test('the fact is read, not remembered: with another price the answer is another', async t => {
  const answer = async (price: string): Promise<string> => {
    const events = await hold(fixture('what-does-a-muffin-cost.wav'), 'fast', [`muffin: ${price}`, 'hours: 8 to 20'])
    return events.filter(e => e.type === 'turn').map(e => e.text).join(' ')
  }
  const [two, seven] = [await answer('2 euros'), await answer('7 euros')]
  t.match(two, /\b2\b/)
  t.match(seven, /\b7\b/)
  t.notMatch(seven, /\b2\b/)
})

t.test('a fact that changes in the midst of a talk is answered as it is now', async t => {
  await using session = await openSession(PICO, { providers: ['cpu'], cacheFolder: folder })
  const { samples } = await readWav(fixture('what-does-a-muffin-cost.wav'))
  for (const price of [2, 5, 3]) {
    await session.setFacts([`muffin: ${price} euros`, 'hours: 8 to 20'])
    t.match(await steps(session, Math.ceil(samples.length / session.tickSamples) + 60, samples), new RegExp(`\\b${price} euros\\b`))
  }
})

t.test('a minute of a silent room: pico says nothing', async t => {
  const input = join(folder, 'room.wav')
  await writeWav(input, { rate: 16_000, samples: Float32Array.from({ length: 60 * 16_000 }, (_, i) => 0.0003 * Math.sin(i * i)) })
  const events = await hold(input, 'fast', ['hours: 8 to 20'])
  t.same(said(events), [])
})

t.test('after 80 s of a silent room pico still answers', async t => {
  const input = join(folder, 'late.wav')
  const { rate, samples } = await readWav(fixture('what-does-a-muffin-cost.wav'))
  const room = Float32Array.from({ length: 80 * rate + samples.length }, (_, i) => 0.0003 * Math.sin(i * i) + (samples[i - 80 * rate] ?? 0))
  await writeWav(input, { rate, samples: room })
  const events = await hold(input, 'fast', ['muffin: 2 euros', 'hours: 8 to 20'])
  t.match(events.filter(e => e.type === 'turn').map(e => e.text).join(' '), /\b2\b/)
})

t.test('what a sensor measured before a minute of silence is known, and of two values the last one', async t => {
  await using session = await openSession(PICO, { providers: ['cpu'], cacheFolder: folder })
  const knowledge = new Knowledge({ session, clock: new ManualClock(), signal: new AbortController().signal, onTrouble: (_, message) => t.fail(message) })
  for (const value of [81, 23]) {
    knowledge.measure('battery', value)
    await knowledge.learn(['hours: 8 to 20'])
    await steps(session, 750)
    session.tell('how much battery do you have', 'typed')
    t.match(await steps(session, 70), new RegExp(`\\b${value}\\b`))
  }
})

/** What it says in so many ticks of a silent room in which a person may speak. */
async function steps(session: EngineSession, count: number, person: Float32Array = new Float32Array()): Promise<string> {
  const sound = (i: number): number => 0.0003 * Math.sin(i * i) + (person[i] ?? 0)
  let text = ''
  for (let n = 0; n < count; n++) text += (await session.step({ at: 80 * n, audio: Float32Array.from({ length: session.tickSamples }, (_, i) => sound(n * session.tickSamples + i)) })).text
  return text
}
