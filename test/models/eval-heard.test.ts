import t from 'tap'
import { countReplies, firstSoundMs, lastSoundTick, paceOf, soundOf } from '../../models/eval/heard.js'
import { ticks } from './eval-kit.js'

t.test('a sound begins when its tick is over', async t => {
  t.equal(firstSoundMs(ticks('..Bss'), 80), 240)
  t.equal(firstSoundMs(ticks('...'), 80), undefined)
})

t.test('a reply ends with its last sound', async t => {
  t.equal(lastSoundTick(ticks('..BsssE....'), 2), 5)
  t.equal(lastSoundTick(ticks('..Bsss'), 2), 5, 'also when the recording ends first')
})

t.test('a stop of the voice is no end', async t => {
  t.equal(lastSoundTick(ticks('Bs..ssE...'), 0), 5)
  t.equal(lastSoundTick(ticks('Bs...ssE..'), 0), 1, 'three silent ticks are one')
})

t.test('a new reply is not the old one', async t => {
  t.equal(lastSoundTick(ticks('BssC.Bss'), 0), 2)
})

t.test('replies are counted where they begin', async t => {
  t.equal(countReplies(ticks('..BsE..BssC...')), 2)
})

t.test('the sound of a reply has its pauses and nothing around it', async t => {
  t.same([...soundOf(ticks('.B.s.'))], [1, 1, 1, 1, 0, 0, 0, 0, 1, 1, 1, 1])
  t.same([...soundOf(ticks('...'))], [])
})

t.test('its pace is of the ticks in which it speaks', t => {
  const said = ticks('..BssE').map((tick, n) => (n === 2 ? { ...tick, text: ' it is' } : n === 4 ? { ...tick, text: ' 9' } : tick))
  t.equal(paceOf(said, 100), 5 / 0.3)
  t.equal(paceOf(ticks('...'), 100), undefined)
  t.end()
})
