import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import t, { type Test } from 'tap'
import { ManualClock } from '../../base/clock.js'
import { readWav } from '../../base/wav.js'
import { openSession } from '../../models/engine/index.js'
import type { Tick } from '../../models/session.js'
import { Conversation, type Model } from '../../runtime/conversation/conversation.js'
import { Doze } from '../../runtime/conversation/doze.js'
import type { ConversationEvent } from '../../runtime/conversation/events.js'
import { Knowledge } from '../../runtime/conversation/knowledge.js'
import { LiveClock, type GatedFrame } from '../../runtime/conversation/live.js'
import { FakeActuator, HostileSpeaker, RATE, ScriptedModel, TICK, attentive, defaults, tone, turnOfTheLoop } from './fakes.js'

t.setTimeout(240_000)
const ROOT = fileURLToPath(new URL('../../../', import.meta.url))

const tick = (at: number): Tick => ({ at, audio: new Float32Array(TICK) })
/** The hiss of a quiet room: digital silence is in none. */
const room = (samples: number): Float32Array => Float32Array.from({ length: samples }, (_, i) => 0.001 * Math.sin(i * i))

/** A live conversation in manual time, which hears what it is given, tick by tick. */
class Live {
  readonly events: ConversationEvent[] = []
  readonly conversation: Conversation
  /** Ticks that reached the model. */
  steps = 0
  hot = true
  readonly #clock = new ManualClock(1_000)
  readonly #model: Model
  #running = 0

  constructor(model: (clock: ManualClock) => Model) {
    const inner = model(this.#clock)
    this.#model = new Proxy(inner, {
      get: (target, key) => {
        const value: unknown = Reflect.get(target, key, target)
        if (key !== 'step') return typeof value === 'function' ? value.bind(target) : value
        return async (...args: Parameters<Model['step']>) => {
          this.steps++
          this.#running++
          return target.step(...args).finally(() => { this.#running-- })
        }
      },
    })
    const knowledge = new Knowledge({ session: this.#model, clock: this.#clock, signal: new AbortController().signal, onTrouble: (_, message) => { throw new Error(message) } })
    this.conversation = new Conversation({ session: this.#model, speaker: new HostileSpeaker(this.#clock), actuator: new FakeActuator(), knowledge, clock: this.#clock, settings: defaults, onEvent: e => this.events.push(e) })
  }

  /** Resolves when the model has taken all of it. */
  async hear(samples: Float32Array): Promise<void> {
    await new LiveClock({ conversation: this.conversation, session: this.#model, frames: this.#frames(samples), clock: this.#clock, settings: defaults.conversation, spare: () => this.hot }).run(new AbortController().signal)
  }

  get said(): string {
    return this.events.flatMap(e => (e.type === 'text' ? [e.text] : [])).join('').trim()
  }

  async *#frames(samples: Float32Array): AsyncGenerator<GatedFrame> {
    for (let from = 0; from + TICK <= samples.length; from += TICK) {
      for (let part = from; part < from + TICK; part += 320) yield { frame: { at: this.#clock.now() + (part - from) / 16, rate: RATE, samples: samples.subarray(part, part + 320), dropped: 0 }, own: false }
      await this.#clock.advance(80)
      do await turnOfTheLoop(); while (this.#running > 0)
      for (let i = 0; i < 5; i++) await turnOfTheLoop() // what was spared before is stepped now, one after the other
      while (this.#running > 0) await turnOfTheLoop()
    }
  }
}

const scripted = (): Live => new Live(clock => new ScriptedModel(attentive(5), clock))
const silent = (seconds: number): Float32Array => room(seconds * RATE)
const loud = (ticks: number): Float32Array => Float32Array.from({ length: ticks * TICK }, (_, i) => tone()[i % TICK] as number)

t.test('of ticks with nothing in them one in five is stepped; the next with something comes with the three before it', async t => {
  const doze = new Doze()
  const due = Array.from({ length: 12 }, (_, i) => doze.due(tick(i), true).map(x => x.at))
  t.same(due, [[], [], [], [], [4], [], [], [], [], [9], [], []])
  t.same(doze.due(tick(12), false).map(x => x.at), [10, 11, 12])
  t.same(doze.due(tick(13), false).map(x => x.at), [13])
  for (let i = 14; i < 18; i++) doze.due(tick(i), true)
  t.same(doze.due(tick(18), false).map(x => x.at), [15, 16, 17, 18])
})

t.test('on a hot chip the model steps a fifth of the ticks of a silent room, ten seconds after it had something to do', async t => {
  const live = scripted()
  await live.hear(silent(10))
  t.equal(live.steps, 125, 'so long it listens to all')
  await live.hear(silent(40))
  t.equal(live.steps, 125 + 100)
  live.hot = false
  await live.hear(silent(8))
  t.equal(live.steps, 225 + 100, 'and to all again once it is cool')
})

t.test('who speaks to it is answered as if it had not dozed', async t => {
  const answer = async (hot: boolean): Promise<string> => {
    const live = scripted()
    live.hot = hot
    await live.hear(silent(20))
    await live.hear(loud(5))
    await live.hear(silent(2))
    return live.said
  }
  t.equal(await answer(true), 'yes la la la la')
  t.equal(await answer(true), await answer(false))
})

for (const [what, act] of [['a reading', (c: Conversation) => c.tell({ source: 'person', value: 'arrived' })], ['a typed turn', (c: Conversation) => c.type('hello')], ['words to say', (c: Conversation) => c.say('hello')]] as const) {
  t.test(`${what} wakes it for ten seconds`, async t => {
    const live = scripted()
    await live.hear(silent(20))
    const before = live.steps
    act(live.conversation)
    await live.hear(silent(10))
    t.equal(live.steps - before, 125)
  })
}

t.test('pico, on a hot chip, answers behind half a minute of a quiet room what it answers on a cool one', async t => {
  const cache = await mkdtemp(join(tmpdir(), 'parley-doze-'))
  t.teardown(() => rm(cache, { recursive: true, force: true }))
  const { samples } = await readWav(join(ROOT, 'test/fixtures/what-does-a-muffin-cost.wav'))
  const answer = async (t: Test, hot: boolean): Promise<{ said: string; steps: number }> => {
    await using session = await openSession(join(ROOT, 'models/pico'), { providers: ['cpu'], cacheFolder: cache, selfTest: 'never' })
    await session.setFacts(['muffin: 2 euros', 'hours: 8 to 20'])
    const live = new Live(() => session)
    live.hot = hot
    const quiet = room(30 * RATE + samples.length + 6 * RATE)
    for (let i = 0; i < samples.length; i++) quiet[30 * RATE + i] = (quiet[30 * RATE + i] as number) + (samples[i] as number)
    await live.hear(quiet)
    t.equal(live.conversation.lostTicks, 0)
    return { said: live.said, steps: live.steps }
  }
  const [hot, cool] = [await answer(t, true), await answer(t, false)]
  t.match(hot.said, /\b2\b/)
  t.equal(hot.said, cool.said)
  t.ok(hot.steps < cool.steps - 150, `${hot.steps} steps instead of ${cool.steps}`)
  t.comment(`${hot.steps} of ${cool.steps}`)
})
