import t from 'tap'
import { Random } from '../../models/engine/random.js'
import { rig, tone, type Hostility, type Piece } from './fakes.js'

const SINKS: Hostility[] = ['none', 'slow', 'never-writes', 'never-drains', 'rejects', 'throws', 'throws-on-flush', 'lies', 'deaf']

// Each turn's sound has its own level, so that a write tells whose it is.
const levelOf = (turn: number): number => 0.1 + 0.05 * turn

for (let round = 0; round < 54; round++) {
  const sink = SINKS[round % SINKS.length] as Hostility
  t.test(`round ${round} (${sink}): a cut at any moment silences, and each turn is told once`, async t => {
    const random = new Random(round + 1)
    const pick = (n: number): number => Math.floor(random.next() * n)
    const scene: Piece[] = []
    const ends: string[] = []
    for (let turn = 1; turn <= 6; turn++) {
      for (let i = pick(4); i > 0; i--) scene.push({})
      const level = levelOf(turn)
      scene.push({ mark: 'begin', text: ' word', ...(pick(3) ? { speech: tone(level) } : {}) })
      for (let i = pick(12); i > 0; i--) scene.push({ speech: tone(level), ...(pick(3) ? {} : { text: ' more' }) })
      const end = ['cut', 'end', 'lost', 'begin'][pick(4)] as string
      ends.push(end)
      if (end === 'lost') scene.push({ fail: pick(2) ? 'lost' : 'hang' })
      else if (end !== 'begin') scene.push({ mark: end as 'cut' | 'end', ...(end === 'end' && pick(2) ? { call: { name: 'goto', args: { place: 'exit' } } } : {}) })
      if (pick(4) === 0) scene.push({ speech: tone(level) }) // a straggler
    }
    const r = rig(index => scene[index] ?? {}, sink)
    await r.ticks(scene.length + 5)
    await r.clock.advance(30_000) // every wait of ours has a limit well below this
    const before = r.of('turn').length
    r.conversation.close()
    await r.clock.advance(30_000)

    const turns = r.of('turn')
    t.same(new Set(turns.map(e => e.turn)).size, turns.length, 'no turn is told twice')
    t.same(turns.map(e => e.turn).sort((a, b) => a - b), turns.map((_, i) => i + 1), 'none is missing')
    t.ok(turns.length >= 6, `${turns.length} turns`)
    t.ok(before >= turns.length - 1, 'at most the one that had no end was told by the close')
    for (const turn of turns) t.ok(turn.heardMs <= turn.spokenMs, 'never more is heard than was given')

    // After a flush, nothing of a turn that was told as cut or lost before it is written.
    for (const at of r.speaker.flushes) {
      const over = turns.filter(e => (e.ended === 'cut' || e.ended === 'lost') && e.at + 1_000 <= at)
      for (const turn of over) {
        const late = r.speaker.written.filter(w => w.at > at && Math.abs(Math.max(...w.samples.slice(0, 200)) / 0.8 - levelOf(turn.turn)) < 0.01)
        t.same(late.length, 0, `nothing of turn ${turn.turn} is written after ${at}`)
      }
    }
  })
}
