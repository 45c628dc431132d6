import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import t from 'tap'
import { writeWav } from '../../base/wav.js'
import { benchTalk } from '../../runtime/bench/talk.js'
import { id, tinyBundle } from '../models/tiny-bundle.js'

t.setTimeout(120_000)

const MAIN = fileURLToPath(new URL('../../runtime/cli/main.js', import.meta.url))
const folder = await mkdtemp(join(tmpdir(), 'parley-bench-'))
t.teardown(() => rm(folder, { recursive: true, force: true }))
process.chdir(folder) // where the demo leaves its reply
const bundle = await tinyBundle()
t.teardown(() => bundle[Symbol.asyncDispose]())

/** What the tiny model hears as these tokens, so many ticks each: it takes the first sample of a tick for a token. */
async function say(name: string, ...tokens: [token: string, ticks: number][]): Promise<void> {
  const samples = tokens.flatMap(([token, ticks]) => Array.from({ length: ticks * 1_280 }, () => id(token) / 1_000))
  await writeWav(join(folder, name), { rate: 16_000, samples: Float32Array.from(samples) })
}
await say('asks.wav', ['<style:calm>', 4])
await say('cuts.wav', ['<cut>', 2], ['<style:calm>', 3])

const GOOD = `
[[turns]]
wav = "asks.wav"
said = "a question"
expect = { words = ["hello"], tool = { name = "move", args = { direction = "forward", metres = 2 } } }
[[turns]]
wav = "asks.wav"
said = "another, whose answer is cut"
[[turns]]
wav = "cuts.wav"
said = "and over the answer"
interrupts = true
afterMs = 100
expect = { tool = { name = "move", args = { direction = "forward", metres = 2 } } }
`

t.test('two rounds of a talk give latencies in ms that a talk can have, and count every turn and every interruption', async t => {
  await writeFile('good.toml', GOOD)
  const talk = await benchTalk(MAIN, bundle.folder, 'good.toml', 'file', 2)
  if (typeof talk === 'string') return t.fail(talk)
  t.same(Object.keys(talk).sort(), ['allTurnsGood', 'bargeInMs', 'bargeIns', 'firstSoundMs', 'gaps', 'notStopped', 'overOnsetMs', 'stage', 'turns'])
  t.match(talk.stage, /file/)
  t.equal(talk.turns, 6)
  t.equal(talk.bargeIns, 2)
  t.equal(talk.notStopped, 0)
  t.ok(Number.isInteger(talk.gaps) && talk.gaps >= 0, `${talk.gaps} gaps`)
  for (const name of ['firstSoundMs', 'overOnsetMs', 'bargeInMs'] as const) {
    const { p50, p95 } = talk[name]
    t.ok(p50 !== null && p95 !== null && Number.isFinite(p50) && Number.isFinite(p95) && p50 <= p95, `${name} ${p50} / ${p95}`)
    t.ok((p95 ?? Infinity) < 5_000, `${name} is in ms: ${p95}`)
  }
  // The interrupting `<cut>` comes with the next tick of 80 ms at the earliest, so a time in s would be below 1.
  t.ok((talk.bargeInMs.p50 ?? 0) > 20, `barge-in after ${talk.bargeInMs.p50} ms`)
  t.equal(talk.allTurnsGood, true)
})

t.test('an answer that was not stopped is counted and has no time, and a turn that went wrong is told', async t => {
  await writeFile('deaf.toml', GOOD.replace('wav = "cuts.wav"', 'wav = "asks.wav"').replace('words = ["hello"]', 'words = ["goodbye"]'))
  const talk = await benchTalk(MAIN, bundle.folder, 'deaf.toml', 'file', 1)
  t.match(talk, { turns: 3, bargeIns: 1, notStopped: 1, bargeInMs: { p50: null, p95: null }, allTurnsGood: false })
})

t.test('without recordings, or with a demo that cannot be played, it says why there are no figures', async t => {
  t.match(await benchTalk(MAIN, bundle.folder, 'nowhere.toml', 'file', 1), /no recordings: nowhere\.toml/)
  await writeFile('good.toml', GOOD)
  t.match(await benchTalk(MAIN, 'nowhere', 'good.toml', 'file', 1), /the demo gave no result: [^]*nowhere/)
})

t.test('a talk that never ends is given up, also one that does not listen to SIGTERM', async t => {
  await writeFile('hangs.mjs', "process.on('SIGTERM', () => {}); setInterval(() => {}, 1_000)")
  t.match(await benchTalk(join(folder, 'hangs.mjs'), bundle.folder, 'good.toml', 'file', 1, 500), /the demo did not end within 0\.5 s/)
})
