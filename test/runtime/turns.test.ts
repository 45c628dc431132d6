import t from 'tap'
import { conversationEvent } from '../../runtime/conversation/events.js'
import { defaults, rig, tone, type Piece } from './fakes.js'

const reply = (from: number, ticks: number): (index: number) => Piece => index => {
  if (index === from) return { mark: 'begin', text: ' hello', speech: tone() }
  if (index > from && index < from + ticks) return { speech: tone() }
  return index === from + ticks ? { mark: 'end' } : {}
}

t.test('a turn is told once, with what was said, what was heard and two stamps for each latency', async t => {
  const r = rig(reply(10, 5))
  await r.ticks(5, true)
  await r.ticks(20)
  const [turn] = r.of('turn')
  t.equal(r.of('turn').length, 1)
  t.match(turn, { text: 'hello', personFrom: 0, personTo: 400, spokenMs: 400, heardMs: 400, interrupted: false, ended: 'end' })
  t.equal(turn?.firstSound, 11 * 80 + defaults.playout.leadMs, 'the end of its tick, and the lead')
  t.equal(turn?.firstSoundMs, (turn?.firstSound ?? 0) - 400)
  t.ok(turn?.onsetMs != null && turn.onsetMs > 0 && turn.onsetMs <= (turn.firstSoundMs ?? 0), `the model's part, ${turn?.onsetMs} of ${turn?.firstSoundMs} ms`)
  t.same(r.of('first-sound').map(e => [e.at, e.afterSpeechMs]), [[turn?.firstSound, turn?.firstSoundMs]])
  for (const event of r.events) t.ok(conversationEvent.safeParse(event).success, event.type)
})

t.test('speech over the reply cuts it: the speaker is silent in the same tick', async t => {
  const r = rig(index => (index === 10 ? { mark: 'begin', text: ' a long answer', speech: tone() } : index > 10 && index < 20 ? { speech: tone() } : index === 20 ? { mark: 'cut' } : {}))
  await r.ticks(3, true)
  await r.ticks(15)
  await r.ticks(3, true) // from 1,440 ms
  await r.ticks(5)
  const [turn] = r.of('turn')
  t.match(turn, { interrupted: true, ended: 'cut' })
  t.equal(r.speaker.flushes.length, 1)
  t.equal(turn?.at, 21 * 80, 'silent when the tick of the cut is over')
  t.equal(turn?.bargeInMs, 21 * 80 - 18 * 80, 'from the onset of the speech')
  t.ok((turn?.heardMs ?? 0) < (turn?.spokenMs ?? 0), 'less was heard than was said')
  t.same(r.of('interrupted').map(e => [e.turn, e.heardMs, e.bargeInMs]), [[1, turn?.heardMs, turn?.bargeInMs]])
})

t.test('the last sounds of a reply may come after its last word', async t => {
  const r = rig(index => (index === 2 ? { mark: 'begin', text: ' word', speech: tone() } : index === 3 ? { mark: 'end', speech: tone() } : index === 4 ? { mark: 'begin', speech: tone() } : index === 5 ? { speech: tone() } : {}))
  await r.ticks(15)
  t.same(r.of('turn').map(e => [e.text, e.spokenMs, e.heardMs]), [['word', 320, 320]], 'one turn, all of its sound')
})

t.test('a model that dies in a reply costs that reply: an error is told, and the conversation goes on', async t => {
  const r = rig(index => (index === 8 ? { fail: 'lost' } : index < 8 ? reply(5, 30)(index) : reply(12, 3)(index)))
  await r.ticks(30)
  t.same(r.of('error').map(e => e.code), ['engine-lost'])
  t.same(r.of('turn').map(e => [e.ended, e.text]), [['lost', 'hello'], ['end', 'hello']])
  t.equal(r.speaker.flushes.length, 1)
  t.ok(r.events.findIndex(e => e.type === 'turn') < r.events.findIndex(e => e.type === 'error'), 'silence came first')
})

for (const fail of ['hang', 'deaf', 'throw'] as const) {
  t.test(`a step that fails (${fail}) gives one error, not one a tick`, async t => {
    const r = rig(index => (index >= 5 && index < (fail === 'deaf' ? 6 : 10) ? { fail } : reply(15, 3)(index)))
    await r.ticks(30)
    t.equal(r.of('error').length, 1)
    t.equal(r.of('error')[0]?.code, fail === 'throw' ? 'engine-failed' : 'engine-stalled')
    if (fail === 'deaf') t.ok(r.model.ticks.length <= 6, 'while it does not settle, no more steps are piled on it')
    else t.equal(r.of('turn').length, 1, 'and then it talks again')
  })
}

t.test('a slow step of a recording is told and waited for: no word is lost', async t => {
  const r = rig(index => (index === 6 ? { slowMs: 900, text: ' slow', speech: tone() } : reply(5, 5)(index)), 'none', true)
  await r.ticks(20)
  t.same(r.of('error').map(e => [e.code, e.count]), [['engine-stalled', 0]])
  t.same(r.of('turn').map(e => [e.text, e.ended]), [['hello slow', 'end']])
})

t.test('calls reach the actuator; stop takes its own way; failures and unknown names are errors', async t => {
  const calls = [
    { name: 'goto', args: { place: 'exit' } }, { name: 'stop', args: {} }, { name: 'order', args: { quantity: 2, item: 'fail' } },
    { name: 'launch', args: {} }, { name: 'volume', args: { change: 'down' } }, { name: 'volume', args: { change: 'sideways' } },
  ]
  const r = rig(index => (calls[index - 2] ? { call: calls[index - 2] as { name: string; args: Record<string, string> } } : index === 9 ? { mark: 'end' } : {}))
  const before = r.conversation.playout.volume
  await r.ticks(15)
  t.same(r.actuator.calls.map(c => c.name), ['goto', 'order'])
  t.equal(r.actuator.stops, 1)
  t.same(r.of('error').map(e => e.code), ['failed', 'unknown-tool', 'bad-call'])
  t.ok(r.conversation.playout.volume < before)
  t.same(r.of('turn')[0]?.tools.map(c => [c.name, c.ok]), [['goto', true], ['stop', true], ['order', false], ['launch', false], ['volume', true], ['volume', false]])
})

t.test('a call that never ends has failed after its limit, and the turn is told', async t => {
  const r = rig(index => (index === 2 ? { call: { name: 'order', args: { item: 'hang' } } } : index === 3 ? { mark: 'end' } : {}))
  await r.ticks(10)
  t.equal(r.of('turn').length, 0, 'it is still running')
  await r.clock.advance(15_000)
  t.match(r.of('turn')[0]?.tools[0], { name: 'order', ok: false })
  t.equal(r.of('error')[0]?.code, 'timeout')
})

t.test('closing in the middle of a reply tells the turn, and nothing after it', async t => {
  const r = rig(reply(2, 50))
  await r.ticks(6)
  r.conversation.close()
  r.conversation.close()
  const count = r.events.length
  await r.ticks(3)
  await r.clock.advance(5_000)
  t.same(r.of('turn').map(e => e.ended), ['closed'])
  t.equal(r.events.length, count)
})

t.test('mute, unmute and the limits of the volume', async t => {
  const changes = ['mute', 'unmute', ...Array<string>(20).fill('down')]
  const r = rig(index => (changes[index] ? { call: { name: 'volume', args: { change: changes[index] as string } } } : {}))
  await r.ticks(1)
  t.equal(r.conversation.playout.volume, 0)
  await r.ticks(1)
  t.equal(r.conversation.playout.volume, 0.8)
  await r.ticks(20)
  t.ok(Math.abs(r.conversation.playout.volume - 0.1) < 1e-9, 'it never gets silent by turning it down')
})
