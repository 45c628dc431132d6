import t from 'tap'
import { percentile, wilson } from '../../models/eval/statistics.js'

const near = (t: Tap, found: number, wanted: number): void => { t.ok(Math.abs(found - wanted) < 5e-4, `${found} is about ${wanted}`) }
type Tap = Pick<typeof t, 'ok'>

t.test("Wilson's interval is that of the tables", async t => {
  // scipy.stats: binomtest(hits, n).proportion_ci(method="wilson")
  for (const [hits, n, low, high] of [[95, 100, 0.8882, 0.9785], [0, 20, 0, 0.1611], [1, 1, 0.2065, 1]] as const) {
    const found = wilson(hits, n)
    near(t, found[0], low)
    near(t, found[1], high)
  }
})

t.test('of nothing, everything is possible', async t => {
  t.same(wilson(0, 0), [0, 1])
})

t.test('percentiles are values that were measured', async t => {
  t.equal(percentile([5, 1, 4, 2, 3], 0.5), 3)
  t.equal(percentile(Array.from({ length: 100 }, (_, i) => i + 1), 0.95), 95)
  t.equal(percentile([10, 9], 0.95), 10, 'numbers are sorted as numbers')
  t.equal(percentile([], 0.5), undefined)
})
