import { join } from 'node:path'
import t from 'tap'
import { readWav } from '../../base/wav.js'
import { converse } from '../../runtime/converse/converse.js'
import type { ConversationEvent } from '../../runtime/conversation/events.js'
import { ScriptedModel, defaults, silentLog, tone } from './fakes.js'

t.test('a model that never stops talking is listened to for a minute; then its reply is over, and the file is as long as that', { timeout: 60_000 }, async t => {
  const output = join(t.testdir(), 'reply.wav')
  const events: ConversationEvent[] = []
  await converse({
    session: new ScriptedModel(index => ({ text: ' la', speech: tone(0.3), ...(index === 0 && { mark: 'begin' }) })), text: 'sing', output, pace: 'fast',
    facts: [], readings: [], settings: defaults, onEvent: event => events.push(event), log: silentLog, signal: new AbortController().signal,
  })
  const turns = events.filter(e => e.type === 'turn')
  t.same(turns.map(e => e.ended), ['closed'])
  t.equal(turns[0]?.spokenMs, turns[0]?.heardMs, 'what it had said is heard')
  const { rate, samples } = await readWav(output)
  t.ok(Math.abs(samples.length / rate - 60) < 1, `${samples.length / rate} s`)
})
