import { spawn } from 'node:child_process'
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import t from 'tap'
import { systemClock } from '../../base/clock.js'
import { readWav, writeWav } from '../../base/wav.js'
import { Runtime } from '../../runtime/compose/runtime.js'
import type { ConversationEvent } from '../../runtime/conversation/events.js'
import { Director } from '../../runtime/demo/director.js'
import { loadScript } from '../../runtime/demo/script.js'
import { openStage } from '../../runtime/demo/stage.js'
import { tinyBundle } from '../models/tiny-bundle.js'
import { ScriptedModel, attentive, defaults, silentLog, type Script } from './fakes.js'

t.setTimeout(200_000)

const folder = await mkdtemp(join(tmpdir(), 'parley-demo-'))
t.teardown(() => rm(folder, { recursive: true }))
await writeWav(join(folder, 'person.wav'), { rate: 16_000, samples: Float32Array.from({ length: 12_800 }, (_, i) => 0.4 * Math.sin(i / 7)) })

const SCRIPT = `
[facts]
restroom = "left of the entrance"
[[turns]]
wav = "person.wav"
said = "a question"
expect = { words = ["yes", "la"] }
[[turns]]
wav = "person.wav"
said = "another"
[[turns]]
wav = "person.wav"
said = "and over the answer"
interrupts = true
afterMs = 500
expect = { words = ["yes"] }
[[turns]]
wav = "person.wav"
said = "wants what it does not do"
expect = { tool = { name = "goto", args = { place = "exit" } } }
`

for (const kind of ['file', 'room'] as const) {
  t.test(`a demo in the ${kind}: each turn in its time, one interrupts, and each is judged`, { timeout: 120_000 }, async t => {
    await writeFile(join(folder, 'demo.toml'), SCRIPT)
    const script = await loadScript(join(folder, 'demo.toml'))
    const output = join(folder, `${kind}.wav`)
    const closing = new AbortController()
    const stage = await openStage(kind, { host: { clock: systemClock, log: silentLog, signal: closing.signal }, rate: 16_000, output, echo: false })
    const model = new ScriptedModel(attentive(25))
    const events: ConversationEvent[] = []
    let director: Director | undefined
    const onEvent = (event: ConversationEvent): void => { events.push(event); director?.take(event) }
    {
      await using runtime = new Runtime({ config: { ...defaults, facts: script.facts, echo: { mode: 'off' } }, log: silentLog, onEvent, microphone: stage.microphone, speaker: stage.speaker, openModel: async () => model })
      await runtime.open()
      director = new Director(script, stage, runtime.conversation, closing.signal)
      const told: string[] = []
      const results = await director.play(result => told.push(result.said))
      t.same(told, ['a question', 'another', 'and over the answer', 'wants what it does not do'], 'in their order')
      for (const r of results) t.ok(r.stepP95 !== null, `${r.said}: its steps are known, also where it was cut`)
      t.same(results.map(r => r.missing), [[], [], [], ['the call goto(exit)']])
      t.same(model.facts, ['restroom: left of the entrance'])
      for (const r of results) t.ok(r.firstSoundMs !== null && r.firstSoundMs < 1_500, `end of speech → first sound ${r.firstSoundMs} ms (3 ticks are the model's own)`)
      const barge = results[2]?.bargeInMs ?? Infinity
      t.ok(barge < 1_000, `barge-in → silence ${barge} ms (2 ticks are the model's own)`)
      if (kind === 'room') {
        t.ok((results[0]?.soundedMs ?? Infinity) < 1_600, `at the sound server's output ${results[0]?.soundedMs} ms`)
        t.ok((results[2]?.silentMs ?? Infinity) < 1_200, `silent there after ${results[2]?.silentMs} ms`)
      }
    }
    await stage.finish()
    t.same(events.filter(e => e.type === 'error'), [])
    const reply = await readWav(output)
    t.ok(reply.samples.some(s => Math.abs(s) > 0.1), 'the reply is in the file')
  })
}

t.test('a call that the device makes while it is spoken over fails the answer that was cut', { timeout: 60_000 }, async t => {
  await writeFile(join(folder, 'cut.toml'), SCRIPT.split('[[turns]]').slice(0, 1).concat(SCRIPT.split('[[turns]]').slice(2, 4)).join('[[turns]]'))
  const script = await loadScript(join(folder, 'cut.toml'))
  const closing = new AbortController()
  const stage = await openStage('file', { host: { clock: systemClock, log: silentLog, signal: closing.signal }, rate: 16_000, output: join(folder, 'cut.wav'), echo: false })
  const plain = attentive(25)
  let [begun, called] = [false, false]
  const hasty: Script = (index, tick, model) => {
    const piece = plain(index, tick, model)
    const spokenOver = begun && !called && tick.audio.some(s => Math.abs(s) > 0.1)
    if (piece.mark === 'begin') begun = true
    if (!spokenOver) return piece
    called = true
    return { ...piece, call: { name: 'move', args: { direction: 'forward' } } }
  }
  const model = new ScriptedModel(hasty)
  let director: Director | undefined
  await using runtime = new Runtime({ config: { ...defaults, facts: script.facts, echo: { mode: 'off' } }, log: silentLog, onEvent: event => director?.take(event), microphone: stage.microphone, speaker: stage.speaker, openModel: async () => model })
  await runtime.open()
  director = new Director(script, stage, runtime.conversation, closing.signal)
  const results = await director.play(() => {})
  t.same(results.map(r => [r.said, r.missing]), [['another', ['to leave out the call move(forward)']], ['and over the answer', []]])
  t.same(results[0]?.tools, ['move(forward)'])
})

t.test('a model that is lost fails a demo whose turns are all good, and it is said why', { timeout: 90_000 }, async t => {
  await using bundle = await tinyBundle()
  await writeWav(join(folder, 'nobody.wav'), { rate: 16_000, samples: new Float32Array(3_200) })
  const quiet = '[[turns]]\nwav = "nobody.wav"\nsaid = "nothing"\nexpect = { silent = true }\n'
  await writeFile(join(folder, 'quiet.toml'), quiet)
  const demo = (kill: boolean): Promise<{ code: number | null; out: string }> => new Promise(resolve => {
    const main = fileURLToPath(new URL('../../runtime/cli/main.js', import.meta.url))
    const child = spawn(process.execPath, [main, 'demo', '--script', join(folder, 'quiet.toml'), '--stage', 'file', '--out', join(folder, 'quiet.wav'), '--bundle', bundle.folder], { cwd: folder, stdio: ['ignore', 'pipe', 'pipe'] })
    let [out, killed] = ['', false]
    child.stdout.on('data', (bytes: Buffer) => {
      out += bytes.toString()
      if (!kill || killed || !out.includes('model tiny')) return
      killed = true
      setTimeout(() => void killModel(child.pid ?? 0), 1_000)
    })
    child.once('close', code => resolve({ code, out }))
  })
  const good = await demo(false)
  t.equal(good.code, 0, good.out)
  const bad = await demo(true)
  t.equal(bad.code, 1, bad.out)
  t.match(bad.out, /Every turn did what it should\. The demo failed by what broke meanwhile: engine-lost: /)
})

/** The only child of a demo on files is its model. */
async function killModel(pid: number): Promise<void> {
  for (const child of (await readFile(`/proc/${pid}/task/${pid}/children`, 'utf8')).trim().split(' ')) process.kill(Number(child), 'SIGKILL')
}

t.test('a script that cannot be played is refused with its place', async t => {
  await writeFile(join(folder, 'bad.toml'), '[[turns]]\nwav = "x.wav"\nsaid = "x"\ninterrupts = true\n')
  await t.rejects(loadScript(join(folder, 'bad.toml')), /first turn has nothing to interrupt/)
  await writeFile(join(folder, 'bad.toml'), '[[turns]]\nwav = "x.wav"\nexpects = 1\n')
  await t.rejects(loadScript(join(folder, 'bad.toml')), /turns\.0/)
})
