import t from 'tap'
import { expectedOf, holdsValues, isJudged, isRight, says, saysUnknown, wrongFacts, type Expected } from '../../models/eval/answer.js'
import { caseOf } from './eval-kit.js'

const facts: [string, string][] = [['restroom', 'left of the entrance'], ['espresso', '3 euros'], ['battery', '9'], ['hours', '8 to 20']]
const asked = (parts: object): Expected => expectedOf(caseOf({ facts, ...parts }), [], x => x)
const espresso = asked({ said: 'what is an espresso', values: ['3 euros'], reply: 'an espresso is 3 euros' })

t.test('a value is said only as whole words and whole numbers', async t => {
  t.ok(says('it opens at 8', '8'))
  t.ok(says("the cafe's menu", 'cafe'))
  for (const text of ['it opens at 18', 'at 8:30', 'it is 2.8 euros', 'it is 8.50']) t.notOk(says(text, '8'), text)
  t.notOk(says('the leftover', 'left'))
  t.notOk(says('anything', ''))
})

t.test('a value with signs of regular expressions is only text', async t => {
  t.ok(says('it is 2.50 euros', '2.50'))
  t.notOk(says('it is 2x50 euros', '2.50'))
})

t.test('a reply holds its values when all are said', async t => {
  t.ok(holdsValues('from 8 to 20', ['8', '20']))
  t.notOk(holdsValues('from 8 on', ['8', '20']))
})

t.test('the asked fact is not wrong', async t => {
  t.same(wrongFacts('an espresso is 3 euros', espresso), [])
})

t.test('the value of another fact is wrong, whole or by its number', async t => {
  t.same(wrongFacts('it is left of the entrance', espresso), ['left of the entrance'])
  t.same(wrongFacts('an espresso is 9 euros', espresso), ['9'])
  t.same(wrongFacts('until 20', espresso), ['20'])
})

t.test('a number that the asked fact also holds is not wrong', async t => {
  t.same(wrongFacts('it is 3 euros', asked({ facts: [['espresso', '3 euros'], ['battery', '3']], values: ['3 euros'] })), [])
})

t.test('the same fact in other words than the meant reply is not wrong', async t => {
  t.same(wrongFacts('we are open 8 to 20', asked({ values: ['20'], reply: 'until 20' })), [])
})

t.test('what the person said may be said again', async t => {
  t.same(wrongFacts('sorry i know nothing of 9 people', asked({ said: 'a table for 9 people', missing: true })), [])
})

t.test('a number that no fact holds is wrong by its value, not by a fact', async t => {
  t.same(wrongFacts('an espresso is 4 euros', espresso), [])
  t.notOk(holdsValues('an espresso is 4 euros', espresso.values))
})

t.test('it says that it does not know when it refuses and gives no fact', async t => {
  const missing = asked({ said: 'where is the lift', missing: true })
  t.ok(saysUnknown("sorry i don't know where the lift is", missing))
  t.ok(saysUnknown('i have no such information', missing))
  t.notOk(saysUnknown('the lift is here', missing), 'no refusal')
  t.notOk(saysUnknown('sorry the lift is left of the entrance', missing), 'a fact of something else')
  t.notOk(saysUnknown('now you know', missing), 'now is not no')
  t.notOk(saysUnknown('', missing), 'silence says nothing')
})

t.test('a yes or no without a value cannot be judged', async t => {
  t.ok(isJudged(caseOf({ values: ['9'] })))
  t.ok(isJudged(caseOf({ missing: true })))
  t.notOk(isJudged(caseOf()))
  t.notOk(isJudged(caseOf({ kind: 'chat', values: ['9'] })))
})

t.test('after a barge-in calls are right where calls are due, else values', async t => {
  const stop = { name: 'stop', args: {} }
  t.ok(isRight('okay', [stop], { ...espresso, calls: [stop] }))
  t.notOk(isRight('3 euros', [], { ...espresso, calls: [stop] }))
  t.ok(isRight('3 euros', [], espresso))
  t.notOk(isRight('', [], { ...espresso, values: [] }), 'silence is no answer')
})
