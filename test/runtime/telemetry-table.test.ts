import t from 'tap'
import { ManualClock } from '../../base/clock.js'
import { TelemetryTable } from '../../runtime/demo/telemetry-table.js'

const turn = (n: number) => ({
  at: n * 1_000, type: 'turn' as const, turn: n, text: 'SECRETWORDS', heard: 'SECRETWORDS', style: null, personFrom: 0, personTo: 100, firstSound: 300, firstSoundMs: 200 + n, onsetMs: 100, spokenMs: 900, heardMs: 900,
  interrupted: n === 2, bargeInMs: n === 2 ? 61 : null, ended: n === 2 ? 'cut' as const : 'end' as const, tools: [{ name: 'light', args: { place: 'SECRETWORDS' }, ok: true, ms: 3 }],
  steps: { count: 9, p50: 12, p95: 17.4, max: 30 }, drops: { microphoneTicks: 0, speechChunks: 0, gaps: 0 },
})
const well = { ok: true, parts: [{ name: 'model', ok: true, idleMs: 3 }] }

t.test('each turn changes the row, the head comes once, and columns stand under their heads', t => {
  const table = new TelemetryTable(new ManualClock())
  table.take(turn(1))
  const [head, first] = table.rows(well, 0)
  t.match(head, /telemetry +turns +cut +first sound +barge-in +step p95 +calls/)
  t.match(first, /^ +1 +0 +201 ms +– +17 ms +1 +0 +0 +0 +\d+ MB +no$/)
  table.take(turn(2))
  table.take({ at: 2_100, type: 'error', code: 'engine-lost', message: 'SECRETWORDS' })
  const again = table.rows({ ok: false, parts: [{ name: 'model', ok: false, idleMs: 9_000 }] }, 1)
  t.equal(again.length, 1)
  t.match(again[0], /^ +2 +1 +202 ms +61 ms +17 ms +2 +0 +0 +1 +\d+ MB +yes$/)
  t.equal(again[0]!.length, head!.length)
  t.end()
})

t.test('no word is in what would have been sent', t => {
  const table = new TelemetryTable(new ManualClock())
  table.take(turn(1))
  table.take({ at: 1, type: 'error', code: 'stall', message: 'SECRETWORDS' })
  t.equal(table.records.length, 2)
  t.notMatch(table.records.join(), /SECRETWORDS/)
  t.match(table.summary(), /2 records, \d+ bytes/)
  t.end()
})
