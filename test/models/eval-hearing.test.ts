import t from 'tap'
import { hearing, wordErrorRate } from '../../models/eval/hearing.js'

t.test('words put in, left out and changed are errors', async t => {
  t.same(hearing('where is the restroom', 'where is the restroom'), { errors: 0, words: 4 })
  t.same(hearing('where is the restroom', 'where the rest room'), { errors: 3, words: 4 })
  t.same(hearing('move forward 2 metres', ''), { errors: 4, words: 4 })
  t.same(hearing('', 'hello'), { errors: 1, words: 0 })
})

t.test('case and commas are no words', async t => {
  t.equal(hearing("It's 8:30, isn't it", "it's 8:30 isn't it").errors, 0)
})

t.test('the rate is over all words, not over sentences', async t => {
  t.equal(wordErrorRate([{ errors: 1, words: 1 }, { errors: 0, words: 9 }]), 10)
  t.equal(wordErrorRate([]), undefined)
})
