import t from 'tap'
import type { ToolCall } from '../../base/frames.js'
import { loadBundle } from '../../models/bundle/index.js'
import { CallGrammar, type GrammarState } from '../../models/engine/call-grammar.js'
import { Random } from '../../models/engine/random.js'
import { Reply } from '../../models/engine/reply.js'
import { stepSpecOf } from '../../models/engine/step-spec.js'
import { id, tinyBundle, tinyTokenizer } from './tiny-bundle.js'

await using bundle = await tinyBundle()
const spec = stepSpecOf(await loadBundle(bundle.folder, { cacheFolder: bundle.folder }))
const tokenizer = tinyTokenizer()

/** The best token under the mask, by random logits. */
function choose(mask: Float32Array, random: Random, liking: ReadonlyMap<number, number>): number {
  let best = 0
  let top = -Infinity
  for (let token = 0; token < mask.length; token++) {
    const logit = random.next() + (liking.get(token) ?? 0) + (mask[token] as number)
    if (logit > top) [best, top] = [token, logit]
  }
  return best
}

function wellFormed(call: ToolCall): boolean {
  const { args } = call
  const words = (x: unknown): boolean => typeof x === 'string' && /^[a-z0-9'][a-z0-9':. ]*$/.test(x) && !/ {2}|[:. ]$/.test(x) && tokenizer.decode(tokenizer.encode(x)) === x
  const whole = (x: unknown, min: number, max: number): boolean => Number.isInteger(x) && Number(x) >= min && Number(x) <= max
  switch (call.name) {
    case 'move': return Object.keys(args).length === 2 && ['forward', 'back'].includes(String(args['direction'])) && whole(args['metres'], 1, 99)
    case 'goto': return Object.keys(args).length === 1 && words(args['place'])
    case 'order': return Object.keys(args).length === 2 && whole(args['quantity'], 1, 250) && words(args['item'])
    case 'stop': return Object.keys(args).length === 0
    default: return false
  }
}

t.test('whatever the logits, every call that ends is well formed', async t => {
  const random = new Random(11)
  const reply = new Reply(spec, tokenizer)
  const seen = new Map<string, number>()
  // cuts rarely, calls often: else few calls would come to their end
  const liking = new Map([[id('<cut>'), -0.9], ...spec.tools.map(tool => [id(`<call:${tool.name}>`), 0.5] as const)])
  for (let n = 0; n < 40_000; n++) {
    const { call } = reply.take(choose(reply.mask, random, liking), false)
    if (!call) continue
    seen.set(call.name, (seen.get(call.name) ?? 0) + 1)
    if (!wellFormed(call)) t.fail(`not well formed: ${JSON.stringify(call)}`)
  }
  t.same([...seen.keys()].sort(), ['goto', 'move', 'order', 'stop'])
  t.ok([...seen.values()].every(count => count > 50), JSON.stringify([...seen]))
})

t.test('a call can always end: no state is without a way on', async t => {
  const grammar = new CallGrammar(spec.tools, spec.tokens, tokenizer)
  const random = new Random(3)
  for (let n = 0; n < 2_000; n++) {
    let state: GrammarState = grammar.next(grammar.outside, id(`<call:${spec.tools[n % spec.tools.length]?.name}>`))
    for (let steps = 0; state.tool; steps++) {
      if (steps > 20) { t.fail('it does not end'); break }
      const open = [...state.mask.keys()].filter(k => state.mask[k] === 0 && k !== id('<cut>'))
      if (open.length === 0) { t.fail('nothing may follow'); break }
      state = grammar.next(state, open[Math.floor(random.next() * open.length)] as number)
    }
  }
  t.pass('2000 random calls ended')
})

t.test('arguments are read as they were written', async t => {
  const cases: [string, ToolCall][] = [
    ['<call:order> ▁1 25 ▁muffin <end>', { name: 'order', args: { quantity: 125, item: 'muffin' } }],
    ['<call:goto> ▁gift ▁shop ▁2 <end>', { name: 'goto', args: { place: 'gift shop 2' } }],
    ['<call:move> ▁forward ▁2 <end>', { name: 'move', args: { direction: 'forward', metres: 2 } }],
    ['<call:stop> <end>', { name: 'stop', args: {} }],
  ]
  for (const [written, expected] of cases) {
    const reply = new Reply(spec, tokenizer)
    const meanings = written.split(' ').map(piece => {
      t.equal(reply.mask[id(piece)], 0, `${piece} may come`)
      return reply.take(id(piece), false)
    })
    t.same(meanings.at(-1)?.call, expected)
    t.equal(meanings.map(m => m.text).join(''), '', 'arguments are not spoken words')
  }
})

t.test('numbers outside the range are closed', async t => {
  const grammar = new CallGrammar(spec.tools, spec.tokens, tokenizer)
  const after = (...pieces: string[]): GrammarState => pieces.reduce((state, piece) => grammar.next(state, id(piece)), grammar.outside)
  t.not(after('<call:move>', '▁forward').mask[id('▁0')], 0, '0 is under the min')
  t.not(after('<call:move>', '▁forward', '▁9').mask[id('99')], 0, '999 is over the max')
  t.equal(after('<call:order>', '▁2').mask[id('50')], 0, '250 is the max')
  t.not(after('<call:order>', '▁2').mask[id('51')], 0)
  t.not(after('<call:order>', '▁9').mask[id('00')], 0, 'nothing from 900 is in the range')
})

t.test('a cut inside a call drops the call', async t => {
  const reply = new Reply(spec, tokenizer)
  for (const piece of ['<style:calm>', '▁hello', '<call:goto>', '▁gift']) reply.take(id(piece), true)
  const cut = reply.take(id('<cut>'), true)
  t.match(cut, { mark: 'cut', call: undefined })
  t.equal(reply.take(id('<end>'), false).call, undefined)
})

t.test('the same state gives the same array, so nothing is made in the steady state', async t => {
  const grammar = new CallGrammar(spec.tools, spec.tokens, tokenizer)
  const walk = (): GrammarState[] => ['<call:order>', '▁2', '▁muffin', '▁gift', '<end>'].reduce<GrammarState[]>((states, piece) => [...states, grammar.next(states.at(-1) as GrammarState, id(piece))], [grammar.outside])
  const [first, second] = [walk(), walk()]
  first.forEach((state, i) => t.equal(state.mask, second[i]?.mask))
})

t.test('a reply that lost its end is over after two silent seconds', async t => {
  const reply = new Reply(spec, tokenizer)
  t.equal(reply.take(id('▁hello'), true).mark, 'begin')
  const marks = Array.from({ length: 30 }, () => reply.take(0, false).mark)
  t.same(marks.filter(Boolean), ['end'])
  t.equal(marks.indexOf('end'), 24)
})

t.test('the bundle says how sure it must be to begin, and how soon it lets itself be cut', async t => {
  const reply = new Reply({ ...spec, bias: { begin: -1.5, cut: 0.75 } }, tokenizer)
  const [hello, cut] = [id('▁hello'), id('<cut>')]
  const before = reply.mask
  t.equal(before[0], 0, 'silence is as it was')
  t.same([before[hello], before[id('<call:stop>')], before[cut]], [-1.5, -1.5, -1.5], 'all else weighs less, calls too')
  t.ok((before[id('<fact>')] as number) < -1e8, 'what is closed stays closed')
  reply.take(hello, true)
  t.same([reply.mask[hello], reply.mask[0], reply.mask[cut]], [0, 0, 0.75], 'in a reply words are as they were, and a cut weighs more')
  reply.take(id('<call:goto>'), true)
  t.equal(reply.mask[cut], 0.75, 'in a call too')
  for (const piece of ['▁gift', '<end>', '<eot>']) reply.take(id(piece), false)
  t.equal(reply.mask, before, 'after it, it must be sure again; the same array')
})

t.test('a bundle that says nothing of it changes nothing', async t => {
  t.same(spec.bias, { begin: 0, cut: 0 })
  t.equal(new Reply(spec, tokenizer).mask[id('▁hello')], 0)
})
