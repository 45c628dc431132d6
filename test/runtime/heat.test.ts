import t from 'tap'
import { ManualClock } from '../../base/clock.js'
import type { Thermal } from '../../deploy/jetson/power.js'
import { HeatWatch } from '../../runtime/compose/heat.js'
import { silentLog } from './fakes.js'

function watch() {
  const clock = new ManualClock()
  const stop = new AbortController()
  const state = { celsius: 60 as number | undefined, throttled: false, powerMode: '25W', stepMs: 20 as number | undefined, broken: false }
  const rests: boolean[] = []
  const read = async (): Promise<Thermal> => {
    if (state.broken) throw new Error('EIO')
    return { temperature: state.celsius, throttleAt: 99, throttled: state.throttled, powerMode: state.powerMode }
  }
  const heat = new HeatWatch({ clock, log: silentLog, read, stepMs: () => state.stepMs, rest: resting => rests.push(resting) })
  const ended = heat.watch(stop.signal)
  const look = (): Promise<void> => clock.advance(10_000)
  return { heat, state, rests, look, end: async () => { stop.abort(); await ended } }
}

t.test('as it warms the camera rests first, and works again once it is cool', async t => {
  const { heat, state, rests, look, end } = watch()
  await look()
  t.same([heat.budget.stepMs, rests], [60, []])
  state.celsius = 95
  await look()
  t.same([heat.budget.stepMs, rests], [60, [true]])
  state.celsius = 98
  await look()
  t.same([heat.budget.stepMs, rests], [50, [true]])
  state.celsius = 70
  await look()
  t.same([heat.budget.stepMs, rests], [60, [true, false]])
  await end()
})

t.test('steps that outgrow what the heat leaves are told while the tick still has room for them', async t => {
  const { heat, state, look, end } = watch()
  state.stepMs = 45
  await look()
  t.ok(heat.health().ok)
  state.throttled = true
  await look()
  t.match(heat.health(), { ok: false, detail: /a step takes 45 ms of the 40 that it may; the chip is slowed/, counters: { budgetMs: 40, throttled: 1 } })
  state.stepMs = 30
  t.match(heat.health(), { ok: true, detail: /the chip is slowed/ })
  await end()
})

t.test('without a sensor, or with one that cannot be read, all of the tick may be used', async t => {
  const { heat, state, rests, look, end } = watch()
  state.celsius = undefined
  await look()
  state.broken = true
  await look()
  t.same([heat.budget.stepMs, heat.health().ok, rests], [60, true, []])
  state.stepMs = undefined
  t.ok(heat.health().ok, 'nor is a step judged that was not taken')
  await end()
})

t.test('in a power mode of few watts the model dozes in silence from the start, and the camera works', async t => {
  const { heat, state, rests, look, end } = watch()
  await look()
  t.equal(heat.budget.doze, false)
  state.powerMode = '7W'
  await look()
  t.match(heat.budget, { stepMs: 45, images: true, doze: true })
  state.powerMode = 'MAXN'
  await look()
  t.match([heat.budget, rests], [{ stepMs: 60, doze: false }, []])
  await end()
})

t.test('what a step may take in that mode decides when the camera rests: steps that fit at 25 W do not at 15 W', async t => {
  const { heat, state, rests, look, end } = watch()
  state.stepMs = 55
  await look()
  t.same([heat.budget.images, heat.budget.doze, rests], [true, false, []])
  state.powerMode = '15W'
  await look()
  t.match([heat.budget, rests], [{ stepMs: 50, images: false, doze: true, by: 'steps', reason: /more than 50 ms/ }, [true]])
  t.match(heat.health(), { ok: false, detail: /a step takes 55 ms of the 50/ })
  state.stepMs = 30
  for (let n = 0; n < 29; n++) await look()
  t.same(rests, [true], 'not at once: a camera that begins anew each minute is worse than one that rests')
  for (let n = 0; n < 2; n++) await look()
  t.match([heat.budget, rests], [{ stepMs: 50, images: true, doze: false }, [true, false]])
  await end()
})
