import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import t from 'tap'
import { systemClock } from '../../base/clock.js'
import { readWav } from '../../base/wav.js'
import { SoundServer } from '../../drivers/room/sound-server.js'
import { openSession } from '../../models/engine/index.js'
import { defaults } from './fakes.js'
import { openTalk, until } from './live-kit.js'

t.setTimeout(170_000)

const ROOT = fileURLToPath(new URL('../../../', import.meta.url))
const QUESTIONS = ['what-does-a-muffin-cost', 'what-are-your-opening-hours', 'turn-left-please', 'where-is-the-restroom', 'what-does-a-muffin-cost']
/** Longer than an answer to an answer would need to begin, ms. */
const QUIET_MS = 3_000

t.test('pico talks in a room where its microphone hears its own voice at full volume: it answers what it is asked, and never itself', async t => {
  const folder = await mkdtemp(join(tmpdir(), 'parley-own-'))
  t.teardown(() => rm(folder, { recursive: true, force: true }))
  await using server = await SoundServer.start()
  server.useHere()
  const session = await openSession(join(ROOT, 'models/pico'), { providers: ['cpu'], cacheFolder: folder })
  const config = {
    facts: { muffin: '2 euros', hours: '8 to 20', restroom: 'left of the entrance' }, microphone: { ...defaults.microphone, driver: 'pulse', device: 'mic' }, speaker: { driver: 'speaker' },
    playout: { ...defaults.playout, volume: 1 }, echo: { mode: 'gate' },
  } as Partial<typeof defaults>
  await using talk = await openTalk(session, { config }) // it closes the session, too
  await using recording = await server.record('mic')
  await systemClock.sleep(2_000)
  const asked: { from: number; to: number }[] = []
  for (const name of QUESTIONS) {
    const before = talk.turns().length
    const { rate, samples } = await readWav(join(ROOT, `test/fixtures/${name}.wav`))
    const from = performance.now() - talk.origin
    await server.play(samples, rate)
    asked.push({ from, to: performance.now() - talk.origin })
    await until(() => talk.turns().length > before, 10_000)
    await systemClock.sleep(QUIET_MS)
  }
  const turns = talk.turns()
  const seen = turns.map(e => `${e.text} (${e.ended})`).join('; ')
  t.ok(turns.length >= QUESTIONS.length - 1, `it answers: ${seen}`)
  t.same(turns.filter(e => e.interrupted), [], 'no answer of its own cuts another')
  const due = (at: number | null): boolean => at !== null && asked.some(({ from, to }) => at > from && at < to + 1_500)
  t.same(turns.filter(e => e.firstSound !== null && !due(e.firstSound)).map(e => e.text), [], 'each answer begins behind a question, none behind an answer')
  t.ok(recording.samples().some(s => Math.abs(s) > 0.2), 'and the microphone heard its voice')
})
