import t from 'tap'
import { digitGroups } from '../../models/tokenizer/digits.js'
import { Tokenizer } from '../../models/tokenizer/tokenizer.js'
import { tinyTokenizer } from './tiny-bundle.js'

const tokenizer = tinyTokenizer()
const pieces = (text: string): string[] => tokenizer.encode(text).map(id => tokenizer.pieces[id] as string)

t.test('digits are cut in groups of two from the right', async t => {
  t.same(digitGroups('125'), ['1', '25'])
  t.same(digitGroups('10:45'), ['10', ':', '45'])
  t.same(digitGroups('2.50'), ['2', '.', '50'])
  t.same(digitGroups('12345'), ['1', '23', '45'])
  t.equal(digitGroups('b2'), undefined)
})

t.test('words are merged pair by pair in the order of the merges', async t => {
  t.same(pieces('Hello there'), ['▁hello', '▁there'])
  t.same(pieces('helpful'), ['▁hel', 'p', 'f', 'u', 'l'])
  t.same(pieces('gift shop 125'), ['▁gift', '▁shop', '▁1', '25'])
})

t.test('characters outside the table are dropped', async t => {
  t.same(pieces('hello! ☃'), ['▁hello', '▁'])
})

t.test('random texts come back as they went in', async t => {
  const alphabet = "abcdefghijklmnopqrstuvwxyz'"
  const changed: string[] = []
  for (let n = 0; n < 2_000; n++) {
    const words = Array.from({ length: 1 + (n % 6) }, (_, i) => (n + i) % 4 === 0
      ? String(Math.floor(Math.random() * 10 ** (1 + (n % 6))))
      : Array.from({ length: 1 + Math.floor(Math.random() * 9) }, () => alphabet[Math.floor(Math.random() * alphabet.length)]).join(''))
    const text = words.join(' ')
    if (tokenizer.decode(tokenizer.encode(text)) !== text) changed.push(text)
  }
  t.same(changed, [])
})

t.test('pieces given one by one make the same text, each with its leading space', async t => {
  const ids = tokenizer.encode('go to the gift shop at 10:45 for 2.50')
  t.equal(ids.map(id => tokenizer.textOf(id)).join(''), ' go to the gift shop at 10:45 for 2.50')
  t.equal(tokenizer.textOf(tokenizer.id('<eot>') as number), '')
})

t.test('a table that is not one is refused with its field', async t => {
  for (const [json, field] of [['x', 'JSON'], ['null', 'pieces'], ['{"pieces":[1],"merges":[]}', 'pieces'], ['{"pieces":["a","a"],"merges":[]}', 'twice'], ['{"pieces":["a"],"merges":[["a"]]}', 'merges']] as const) {
    t.throws(() => Tokenizer.parse(json), { code: 'tokenizer-bad', message: new RegExp(field) })
  }
})
