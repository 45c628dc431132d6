import t from 'tap'
import { rig, tone, type Hostility } from './fakes.js'

/** What each misbehaviour may cost at most: the turn's record must come within this of model time, ms. */
const LIMIT_MS = 10_000
const TROUBLE: Partial<Record<Hostility, string>> = { 'never-writes': 'speaker-slow', 'never-drains': 'speaker-stalled', deaf: 'speaker-stalled', rejects: 'speaker-failed', throws: 'speaker-failed', slow: 'speaker-slow' }

for (const sink of ['none', 'slow', 'never-writes', 'never-drains', 'rejects', 'throws', 'throws-on-flush', 'lies', 'deaf'] as const) {
  t.test(`a speaker that misbehaves (${sink}): the reply's turn is told once, in bounded time, and the model never waited`, async t => {
    const r = rig(index => (index === 2 ? { mark: 'begin', text: ' hello', speech: tone() } : index > 2 && index < 40 ? { speech: tone() } : index === 40 ? { mark: 'end' } : {}), sink)
    const startedAt = r.clock.now()
    await r.ticks(45)
    t.equal(r.model.ticks.length, 45)
    t.equal(r.clock.now() - startedAt, 45 * 80, 'each tick took its 80 ms')
    await r.clock.advance(LIMIT_MS)
    t.equal(r.of('turn').length, 1)
    const [turn] = r.of('turn')
    t.ok(turn && turn.heardMs <= turn.spokenMs && turn.heardMs >= 0)
    const code = TROUBLE[sink]
    t.same(r.of('error').map(e => e.code), code ? [code] : [], 'told at most once')
    if (sink === 'slow') t.ok((turn?.drops.speechChunks ?? 0) > 0, `${turn?.drops.speechChunks} chunks were left out and counted`)
    if (sink === 'none') t.same([turn?.heardMs, turn?.spokenMs], [38 * 80, 38 * 80])
  })
}
