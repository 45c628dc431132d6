import t from 'tap'
import type { TurnEvent } from '../../runtime/conversation/events.js'
import { judge } from '../../runtime/demo/judge.js'
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
