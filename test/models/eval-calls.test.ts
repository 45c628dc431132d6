import t from 'tap'
import { parseCall, sameCalls } from '../../models/eval/calls.js'
import type { Tool } from '../../models/bundle/index.js'

const tools: Tool[] = [
  { name: 'move', args: [{ name: 'direction', type: 'enum', values: ['forward', 'back'] }, { name: 'metres', type: 'number', min: 1, max: 99, decimals: 0 }] },
  { name: 'goto', args: [{ name: 'place', type: 'words', maxPieces: 8 }] },
  { name: 'order', args: [{ name: 'quantity', type: 'number', min: 1, max: 99, decimals: 0 }, { name: 'item', type: 'words', maxPieces: 8 }] },
  { name: 'stop', args: [] },
]

t.test('numbers are numbers, words are words', async t => {
  t.same(parseCall('move(direction=forward, metres=2)', tools), { name: 'move', args: { direction: 'forward', metres: 2 } })
  t.same(parseCall('order(item=iced tea, quantity=12)', tools), { name: 'order', args: { quantity: 12, item: 'iced tea' } })
})

t.test('a comma inside a value belongs to it', async t => {
  t.same(parseCall('order(item=ham, egg and salad, quantity=1)', tools).args, { quantity: 1, item: 'ham, egg and salad' })
})

t.test('a call without arguments has none', async t => {
  t.same(parseCall('stop()', tools), { name: 'stop', args: {} })
})

t.test('what an order or a move leaves out is one', async t => {
  t.same(parseCall('order(item=tea)', tools).args, { quantity: 1, item: 'tea' })
  t.same(parseCall('move(direction=back)', tools).args, { direction: 'back', metres: 1 })
})

t.test('values are compared as the tokenizer writes them', async t => {
  t.same(parseCall('goto(place=Café)', tools, text => text.toLowerCase().replace('é', '')).args, { place: 'caf' })
})

t.test('a call that the bundle does not have is an error of the cases', async t => {
  for (const call of ['fly()', 'goto()', 'stop(now=1)', 'move']) t.throws(() => parseCall(call, tools), { code: 'eval-cases' }, call)
})

t.test('calls are the same in the same order only', async t => {
  const [a, b] = [parseCall('stop()', tools), parseCall('goto(place=gift shop)', tools)]
  t.ok(sameCalls([a, b], [a, b]))
  t.notOk(sameCalls([a, b], [b, a]))
  t.notOk(sameCalls([a], [a, b]))
  t.notOk(sameCalls([b], [parseCall('goto(place=shop)', tools)]))
})
