import t from 'tap'
import type { TurnEvent } from '../../runtime/conversation/events.js'
import { NOT_STOPPED, judge, troubleOf } from '../../runtime/demo/judge.js'
import type { DemoTurn } from '../../runtime/demo/script.js'

const turn: DemoTurn = {
  wav: 'x.wav', said: 'go forward ten metres', interrupts: false, afterMs: 700,
  expect: { words: [], anyOf: [], silent: false, tool: { name: 'move', args: { direction: 'forward', metres: '10' } } },
}
const move = { name: 'move', args: { direction: 'forward', metres: 10 } }
const left = { name: 'turn', args: { direction: 'left' } }

function answer(...calls: { name: string; args: Record<string, string | number> }[]): TurnEvent {
  return {
    at: 0, type: 'turn', turn: 1, text: 'here i go', heard: 'x', style: null, personFrom: 0, personTo: 100, firstSound: 300, firstSoundMs: 200, onsetMs: 100, spokenMs: 900, heardMs: 900,
    interrupted: false, bargeInMs: null, ended: 'end', tools: calls.map(c => ({ ...c, ok: true, ms: 1 })),
    steps: { count: 1, p50: 1, p95: 1, max: 1 }, drops: { microphoneTicks: 0, speechChunks: 0, gaps: 0 },
  }
}

t.test('the call that is due is enough, and its absence is told', async t => {
  t.same(judge(turn, [answer(move)], undefined), [])
  t.same(judge(turn, [answer()], undefined), ['the call move(forward, 10)'])
})

t.test('a call that nobody asked for fails the turn, in the same answer or in one more', async t => {
  t.same(judge(turn, [answer(move, left)], undefined), ['to leave out the call turn(left)'])
  t.same(judge(turn, [answer(move), answer(left)], undefined), ['to leave out the call turn(left)'])
  t.same(judge({ ...turn, expect: { ...turn.expect, tool: undefined } }, [answer(left)], undefined), ['to leave out the call turn(left)'])
})

t.test('the right call twice is one too many', async t => {
  t.same(judge(turn, [answer(move, move)], undefined), ['to leave out the call move(forward, 10)'])
})

t.test('a call that was not carried out fails the turn', async t => {
  const refused = { ...answer(), tools: [{ ...move, ok: false, ms: 1, error: 'busy' }] }
  t.same(judge(turn, [refused], undefined), ['the call move(forward, 10) to be carried out'])
})

t.test('an answer may end by itself or be cut, and not be lost or left open', async t => {
  for (const ended of ['end', 'cut'] as const) t.same(judge(turn, [{ ...answer(move), ended }], undefined), [], ended)
  t.same(judge(turn, [{ ...answer(move), ended: 'lost' }], undefined), ['an answer through which the model lives'])
  t.same(judge(turn, [{ ...answer(move), ended: 'closed' }], undefined), ['an answer that comes to its end'])
})

t.test('the answer before it must have been cut, and not have ended in any other way', async t => {
  const over: DemoTurn = { ...turn, interrupts: true }
  t.same(judge(over, [answer(move)], { ...answer(), ended: 'cut', interrupted: true, bargeInMs: 100 }), [])
  for (const ended of ['end', 'lost', 'closed'] as const) t.same(judge(over, [answer(move)], { ...answer(), ended, interrupted: true, bargeInMs: 100 }), [NOT_STOPPED], ended)
})

t.test('an error of the model, the speaker or the microphone fails the demo, another one does not', async t => {
  const error = (code: string) => ({ at: 0, type: 'error' as const, code, message: 'gone' })
  for (const code of ['engine-lost', 'engine-stalled', 'speaker-slow', 'speaker-failed', 'microphone-failed']) t.equal(troubleOf(error(code)), `${code}: gone`)
  for (const code of ['readings-too-long', 'unknown-tool', 'golden-failed']) t.equal(troubleOf(error(code)), undefined)
  t.equal(troubleOf(answer()), undefined)
})
