import t from 'tap'
import { simulate } from '../../runtime/fleet/simulation/simulate.js'
import { STABLE_MS } from '../../runtime/telemetry/link/backoff.js'

t.setTimeout(240_000)
/** Spread over the first 8 s some four come in a second; three times that is no chance. */
const MOST_IN_ONE_SECOND = 12

t.test('when a broker restarts, its devices all come back, not within one second, and nothing that they told is lost', async t => {
  const { storm, told, arrived } = await simulate({ devices: 30, seconds: STABLE_MS / 1_000 + 1, turnS: 5, stateS: 10, awayS: 1, limitS: 120 }, () => {}, new AbortController().signal)
  t.comment(`median ${storm.p50Ms} ms, last ${storm.lastMs} ms, at most ${storm.mostInOneSecond} in one second`)
  t.ok(storm.mostInOneSecond <= MOST_IN_ONE_SECOND, `at most ${storm.mostInOneSecond} in one second`)
  t.equal(arrived, told)
})
