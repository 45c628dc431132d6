import t from 'tap'
import { ManualClock } from '../../base/clock.js'
import { LiveClock, type GatedFrame } from '../../runtime/conversation/live.js'
import { TickAssembler } from '../../runtime/conversation/tick-assembler.js'
import { RATE, TICK, defaults, rig, turnOfTheLoop } from './fakes.js'

const frame = (at: number, dropped = 0, value = 1): GatedFrame => ({ frame: { at, rate: RATE, samples: new Float32Array(320).fill(value), dropped }, own: false })

/** Frames that are pushed by the test. */
class Pushed implements AsyncIterable<GatedFrame> {
  #items: GatedFrame[] = []
  #wake: () => void = () => {}
  #over = false

  push(item: GatedFrame): void {
    this.#items.push(item)
    this.#wake()
  }

  end(): void {
    this.#over = true
    this.#wake()
  }

  async *[Symbol.asyncIterator](): AsyncGenerator<GatedFrame> {
    for (;;) {
      const item = this.#items.shift()
      if (item) yield item
      else if (this.#over) return
      else await new Promise<void>(resolve => { this.#wake = resolve })
    }
  }
}

async function settle(): Promise<void> {
  for (let i = 0; i < 20; i++) await turnOfTheLoop()
}

t.test('four frames make a tick, which carries the stamp of its own first sample', async t => {
  const assembler = new TickAssembler(RATE, TICK)
  const ticks = Array.from({ length: 10 }, (_, i) => assembler.push(frame(1_000.5 + i * 20).frame)).flat()
  t.same(ticks.map(x => x.at), [1_000.5, 1_080.5])
  t.same(ticks.map(x => x.audio.length), [TICK, TICK])
})

t.test('lost samples are silence of the same length, and a long gap is left out by whole ticks', async t => {
  const assembler = new TickAssembler(RATE, TICK)
  assembler.push(frame(0).frame)
  const ticks = assembler.push(frame(40, 320).frame).concat(assembler.push(frame(60).frame))
  t.same(ticks.map(x => [x.at, x.audio[0], x.audio[320], x.audio[640]]), [[0, 1, 0, 1]])
  const after = assembler.push(frame(80 + 10_000, 160_000).frame)
  t.ok(after.length <= 6, `${after.length} ticks for ten lost seconds`)
  t.equal(after.length + assembler.skipped, 125, 'the others are counted')
  t.same(assembler.push(frame(10_100).frame), [])
})

t.test('what the clock filled for a silent microphone is not filled again', async t => {
  const assembler = new TickAssembler(RATE, TICK)
  for (let i = 0; i < 4; i++) assembler.push(frame(i * 20).frame)
  const filled = assembler.pass(80 + 480)
  t.equal(filled.length + assembler.skipped, 6)
  // The device was lost for 500 ms and says so.
  const ticks = [0, 1, 2, 3].flatMap(i => assembler.push(frame(580 + i * 20, i === 0 ? 8_000 : 0).frame))
  t.same(ticks.map(x => x.at), [560])
  t.same(ticks[0]?.audio.slice(0, 321), Float32Array.from({ length: 321 }, (_, i) => (i < 320 ? 0 : 1)))
})

t.test('a model that is behind loses the oldest ticks, which are counted; the queue never grows', async t => {
  const clock = new ManualClock()
  const r = rig(() => ({ slowMs: 160 }))
  const frames = new Pushed()
  const live = new LiveClock({ conversation: r.conversation, session: r.model, frames, clock, settings: defaults.conversation })
  const over = new AbortController()
  const running = live.run(over.signal)
  for (let i = 0; i < 400; i++) {
    frames.push(frame(i * 20))
    await turnOfTheLoop()
    await r.clock.advance(20)
  }
  await settle()
  t.ok(r.model.ticks.length < 60 && r.model.ticks.length > 40, `${r.model.ticks.length} of 100 ticks at half the speed`)
  t.ok(r.conversation.lostTicks + r.model.ticks.length >= 95, `${r.conversation.lostTicks} are counted`)
  const last = r.model.ticks.at(-1)?.at ?? 0
  t.ok(last > 400 * 20 - 800, `it hears what is said now (${last}), not what was said long ago`)
  over.abort()
  await r.clock.advance(1_000)
  await running
})

t.test('a microphone that gives nothing is silence: the clock goes on, and comes back in step', async t => {
  const r = rig(() => ({}))
  const frames = new Pushed()
  const live = new LiveClock({ conversation: r.conversation, session: r.model, frames, clock: r.clock, settings: defaults.conversation })
  const over = new AbortController()
  const running = live.run(over.signal)
  const start = r.clock.now()
  for (let i = 0; i < 20; i++) {
    frames.push(frame(start + i * 20))
    await settle()
    await r.clock.advance(20)
  }
  const before = r.model.ticks.length
  for (let i = 0; i < 50; i++) {
    await r.clock.advance(40)
    await settle()
  }
  t.ok(r.model.ticks.length - before >= 20, `${r.model.ticks.length - before} ticks in 2 s without a microphone`)
  frames.push(frame(start + 2_400, 32_000))
  await settle()
  t.ok(live.lastFrameAt >= start + 2_300)
  over.abort()
  await running
  t.pass('it ends when it is told to')
  frames.end()
})

t.test('it ends with its microphone', async t => {
  const r = rig(() => ({}))
  const frames = new Pushed()
  frames.end()
  await new LiveClock({ conversation: r.conversation, session: r.model, frames, clock: r.clock, settings: defaults.conversation }).run(new AbortController().signal)
  t.pass()
})
