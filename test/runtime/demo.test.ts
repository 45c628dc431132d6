import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import t from 'tap'
import { systemClock } from '../../base/clock.js'
import { readWav, writeWav } from '../../base/wav.js'
import { Runtime } from '../../runtime/compose/runtime.js'
import type { ConversationEvent } from '../../runtime/conversation/events.js'
import { Director } from '../../runtime/demo/director.js'
import { loadScript } from '../../runtime/demo/script.js'
import { openStage } from '../../runtime/demo/stage.js'
import { ScriptedModel, attentive, defaults, silentLog } from './fakes.js'

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
      const results = await director.play(() => {})
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

t.test('a script that cannot be played is refused with its place', async t => {
  await writeFile(join(folder, 'bad.toml'), '[[turns]]\nwav = "x.wav"\nsaid = "x"\ninterrupts = true\n')
  await t.rejects(loadScript(join(folder, 'bad.toml')), /first turn has nothing to interrupt/)
  await writeFile(join(folder, 'bad.toml'), '[[turns]]\nwav = "x.wav"\nexpects = 1\n')
  await t.rejects(loadScript(join(folder, 'bad.toml')), /turns\.0/)
})
