import t from 'tap'
import { ManualClock } from '../../base/clock.js'
import { ParleyError } from '../../base/errors.js'
import { Knowledge } from '../../runtime/conversation/knowledge.js'

/** A model with room for so many lines that writes down what it is to know, and answers a while later. */
function rig(room = 9, busy = (): boolean => false) {
  const clock = new ManualClock()
  const known: string[][] = []
  const troubles: string[] = []
  const stop = new AbortController()
  const session = {
    async setFacts(facts: readonly string[], passing: readonly string[] = []): Promise<void> {
      await new Promise(resolve => setImmediate(resolve))
      if (facts.length + passing.length > room) throw new ParleyError('facts-too-long', `${facts.length + passing.length} lines`)
      known.push([...facts, ...passing])
    },
  }
  const knowledge = new Knowledge({ session, clock, signal: stop.signal, busy, onTrouble: code => troubles.push(code) })
  /** What is begun comes to its end; time stands still. */
  const settle = async (): Promise<void> => { for (let n = 0; n < 10; n++) await new Promise(resolve => setImmediate(resolve)) }
  const advance = async (ms: number): Promise<void> => { await clock.advance(ms); await settle() }
  return { knowledge, known, troubles, stop, settle, advance }
}

t.test('what was measured before the facts are there is read with them, behind them', async t => {
  const { knowledge, known, settle } = rig()
  knowledge.measure('battery', 9)
  await knowledge.learn(['hours: 8 to 20'])
  await settle()
  t.same(known.at(-1), ['hours: 8 to 20', 'battery: 9'])
})

t.test('a value that changes all the time is read every 5 s, and the last one counts', async t => {
  const { knowledge, known, advance } = rig()
  await knowledge.learn([])
  for (let n = 1; n <= 100; n++) {
    knowledge.measure('distance', n)
    await advance(100)
  }
  await advance(5_000)
  t.ok(known.length <= 4, `${known.length} times in 10 s`)
  t.same(known.at(-1), ['distance: 100'])
})

t.test('a value that is the same to one decimal is not read again', async t => {
  const { knowledge, known, advance } = rig()
  await knowledge.learn([])
  for (const value of [21.31, 21.32, 21.29]) {
    knowledge.measure('temperature', value)
    await advance(5_000)
  }
  t.same(known, [[], ['temperature: 21.3']])
})

t.test('while somebody speaks nothing is read; afterwards the last value is', async t => {
  let talking = true
  const { knowledge, known, advance } = rig(9, () => talking)
  await knowledge.learn([])
  for (const value of [3, 2, 1]) {
    knowledge.measure('battery', value)
    await advance(9_000)
  }
  t.same(known, [[]])
  talking = false
  await advance(5_000)
  t.same(known.at(-1), ['battery: 1'])
})

t.test('a room that is never still does not keep a value from the model for ever', async t => {
  const { knowledge, known, advance } = rig(9, () => true)
  await knowledge.learn([])
  knowledge.measure('battery', 9)
  await advance(40_000)
  t.same(known.at(-1), ['battery: 9'])
})

t.test('what changes often stands last, so that the rest is not read again', async t => {
  const { knowledge, known, advance } = rig()
  await knowledge.learn([])
  for (const [name, value] of [['distance', 1], ['battery', 90], ['distance', 2], ['distance', 3]] as const) {
    knowledge.measure(name, value)
    await advance(5_000)
  }
  t.same(known.at(-1), ['battery: 90', 'distance: 3'])
})

t.test('what nobody measures any more is forgotten', async t => {
  const { knowledge, known, advance } = rig()
  knowledge.measure('battery', 9)
  await knowledge.learn(['hours: 8 to 20'])
  await advance(5_000)
  knowledge.forget('battery')
  await advance(5_000)
  t.same(known.at(-1), ['hours: 8 to 20'])
})

t.test('facts that the model refuses change nothing: the next value is read with the old ones', async t => {
  const { knowledge, known, advance } = rig(2)
  await knowledge.learn(['a: 1'])
  await t.rejects(knowledge.learn(['a: 1', 'b: 2', 'c: 3']), { code: 'facts-too-long' })
  knowledge.measure('battery', 9)
  await advance(5_000)
  t.same(known.at(-1), ['a: 1', 'battery: 9'])
})

t.test('where there is no room for values the facts are known all the same, and that is told once', async t => {
  const { knowledge, known, troubles, advance } = rig(2)
  knowledge.measure('battery', 9)
  await knowledge.learn(['a: 1', 'b: 2'])
  for (const value of [8, 7, 6]) {
    knowledge.measure('battery', value)
    await advance(5_000)
  }
  t.same(known.at(-1), ['a: 1', 'b: 2'])
  t.same(troubles, ['readings-too-long'])
})

t.test('new facts that come while a value is being read are in force at the end', async t => {
  const { knowledge, known, settle } = rig()
  await knowledge.learn(['price: 2'])
  knowledge.measure('battery', 9)
  await knowledge.learn(['price: 3'])
  await settle()
  t.same(known.at(-1), ['price: 3', 'battery: 9'])
})

t.test('when the runtime closes nothing more is read', async t => {
  const { knowledge, known, stop, advance } = rig()
  await knowledge.learn([])
  knowledge.measure('battery', 9)
  stop.abort(new Error('closing'))
  await advance(60_000)
  t.same(known, [[]])
})
