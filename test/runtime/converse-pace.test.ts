import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import t from 'tap'
import { readWav, writeWav } from '../../base/wav.js'
import { converse } from '../../runtime/converse/converse.js'
import type { ConversationEvent } from '../../runtime/conversation/events.js'
import { conversationEvent } from '../../runtime/conversation/events.js'
import { ScriptedModel, defaults, silentLog, tone, type Piece } from './fakes.js'

/** Two replies, the second cut; what it says depends on the loudness of the very ticks it is given. */
function script(index: number, tick: { audio: Float32Array }): Piece {
  const loudness = Math.round(tick.audio.reduce((a, s) => a + Math.abs(s), 0))
  if (index === 12) return { mark: 'begin', text: ` tick${index}is${loudness}`, speech: tone(0.3) }
  if (index > 12 && index < 18) return { text: ` w${loudness}`, speech: tone(0.3) }
  if (index === 18) return { mark: 'end', call: { name: 'goto', args: { place: 'gift shop' } } }
  if (index === 25) return { mark: 'begin', text: ' second', speech: tone(0.3) }
  if (index > 25 && index < 30) return { speech: tone(0.3) }
  if (index === 30) return { mark: 'cut' }
  return {}
}

async function run(pace: 'real' | 'fast', folder: string, input: string): Promise<{ events: ConversationEvent[]; ticks: number[]; ats: number[]; model: ScriptedModel }> {
  const events: ConversationEvent[] = []
  const model = new ScriptedModel(script)
  await converse({
    session: model, input, output: join(folder, `${pace}.wav`), pace, facts: ['restroom: left of the entrance'], readings: [{ source: 'battery', value: 9 }],
    settings: defaults, onEvent: event => events.push(event), log: silentLog, signal: new AbortController().signal,
  })
  const first = model.ticks[0]?.at ?? 0
  return { events, model, ticks: model.ticks.map(x => x.audio.reduce((a, s) => a + s * s, 0)), ats: model.ticks.map(x => Math.round(x.at - first)) }
}

t.test('the fast pace gives the model the same ticks, and the same words, as the real one', async t => {
  const folder = await mkdtemp(join(tmpdir(), 'parley-pace-'))
  t.teardown(() => rm(folder, { recursive: true }))
  const input = join(folder, 'in.wav')
  // 2.03 s at 22.05 kHz: neither whole ticks nor the model's rate.
  await writeWav(input, { rate: 22_050, samples: Float32Array.from({ length: 44_762 }, (_, i) => (i > 9_000 && i < 26_000 ? 0.4 * Math.sin(i / 9) : 0)) })
  const [real, fast] = [await run('real', folder, input), await run('fast', folder, input)]

  t.same(fast.ticks, real.ticks, 'the same sound in every tick')
  t.same(fast.ats, fast.ats.map((_, i) => i * 80), 'fast ticks stand on a grid from the start of the file')
  t.same(real.ats, fast.ats, 'and so do the real ones')
  const words = (r: typeof real): unknown => r.events.filter(e => e.type === 'text' || e.type === 'tool')
  t.same((words(fast) as { text: string }[]).map(e => e.text), (words(real) as { text: string }[]).map(e => e.text))
  const turns = (r: typeof real): unknown => r.events.filter(e => e.type === 'turn').map(e => [e.text, e.tools.map(x => x.name), e.ended])
  t.same(turns(fast), turns(real))
  t.same(turns(fast), [[fast.events.filter(e => e.type === 'text' && e.turn === 1).map(e => e.type === 'text' && e.text).join('').trim(), ['goto'], 'end'], ['second', [], 'cut']])
  t.same(fast.model.told, [])
  t.same(fast.model.facts, ['restroom: left of the entrance', 'battery: 9'], 'what is measured is known as long as the facts are')
  for (const event of [...real.events, ...fast.events]) t.ok(conversationEvent.safeParse(event).success, `${event.type} has its documented form`)

  for (const pace of ['real', 'fast'] as const) {
    const reply = await readWav(join(folder, `${pace}.wav`))
    const firstLoud = (reply.samples.findIndex(s => Math.abs(s) > 0.05) / reply.rate) * 1000
    const { events } = pace === 'real' ? real : fast
    const said = events.find(e => e.type === 'first-sound')
    t.ok(said && Math.abs(said.at - firstLoud) < 15, `${pace}: first-sound ${said?.at} stands where the file sounds (${firstLoud})`)
    const late = firstLoud - (13 * 80 + defaults.playout.leadMs)
    // a busy machine may be late at the real pace, never at the fast one
    t.ok(late > -60 && late < (pace === 'fast' ? 60 : 1_000), `${pace}: at the end of its tick and the lead, on the input's time line: ${firstLoud}`)
    t.ok(reply.samples.length / reply.rate >= 2.03, `${pace}: as long as the input`)
  }
})
