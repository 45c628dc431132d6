import t from 'tap'
import { advance, again,  begin, summary, type Message, type Plan, type Rollout } from '../../deploy/fleet/rollout.js'

const plan: Plan = { id: 'r5', release: 'a'.repeat(64), groups: [['a'], ['b', 'c', 'd', 'e'], ['f', 'g']], errorPercent: 25, successPercent: 75 }
const job = (device: string, state: string, id = 'r5'): Message => ({ type: 'job', id, device, state })

function play(...messages: Message[]): { rollout: Rollout; orders: string[] } {
  let rollout = begin(plan)
  const orders: string[] = []
  for (const message of messages) {
    const next = advance(rollout, message)
    rollout = next.rollout
    orders.push(...next.orders.map(o => `${o.type} ${o.device}`))
  }
  return { rollout, orders }
}

t.test('one group after the other, each when enough of the one before succeeded', async t => {
  t.same(play({ type: 'start' }).orders, ['send a'])
  t.same(play({ type: 'start' }, job('a', 'SUCCEEDED')).orders, ['send a', 'send b', 'send c', 'send d', 'send e'])
  const end = play({ type: 'start' }, ...['a', 'b', 'c', 'd', 'f', 'g'].map(d => job(d, 'SUCCEEDED')))
  t.equal(end.rollout.state, 'done')
  t.match(summary(end.rollout), /6 done, 0 failed, 1 under way/)
})

t.test('at the threshold it goes on, above it it stops and calls back those under way', async t => {
  t.equal(play({ type: 'start' }, job('a', 'SUCCEEDED'), job('b', 'FAILED')).rollout.state, 'running')
  const { rollout, orders } = play({ type: 'start' }, job('a', 'SUCCEEDED'), job('b', 'FAILED'), job('c', 'TIMED_OUT'))
  t.match(rollout, { state: 'stopped', reason: '50 % of group 2 failed' })
  t.same(orders.filter(o => o.startsWith('cancel')), ['cancel d', 'cancel e'])
})

t.test('an emergency stop ends it at once, and only a person goes on', async t => {
  const stopped = play({ type: 'start' }, job('a', 'SUCCEEDED'), { type: 'emergency-stop', by: 'kim' }, job('b', 'SUCCEEDED'), job('c', 'SUCCEEDED'), job('d', 'SUCCEEDED'))
  t.match(stopped.rollout, { state: 'stopped', reason: /kim/ })
  t.notOk(stopped.orders.includes('send f'))
  t.equal(advance(stopped.rollout, { type: 'resume' }).rollout.state, 'running')
})

t.test('a message that comes twice, late, or from elsewhere changes nothing', async t => {
  const once = play({ type: 'start' }, job('a', 'SUCCEEDED'))
  for (const message of [job('a', 'SUCCEEDED'), job('a', 'FAILED'), job('z', 'FAILED'), job('b', 'FAILED', 'other'), job('b', 'IN_PROGRESS'), job('f', 'SUCCEEDED')]) t.same(advance(once.rollout, message), { rollout: once.rollout, orders: [] })
})

t.test('after a stop those that were called back get it again under another id, and a late end of the first counts', async t => {
  const { rollout } = play({ type: 'start' }, job('a', 'SUCCEEDED'), { type: 'emergency-stop', by: 'kim' }, job('b', 'CANCELED'))
  t.equal(rollout.devices['b'], 'waiting')
  const resumed = advance(rollout, { type: 'resume' })
  t.same(resumed.orders.map(o => `${o.device} ${o.id}`), ['b r5_1', 'c r5_1', 'd r5_1', 'e r5_1'])
  t.equal(advance(resumed.rollout, job('c', 'CANCELED')).rollout.devices['c'], 'sent', 'of the try before')
  t.equal(advance(resumed.rollout, job('c', 'SUCCEEDED')).rollout.devices['c'], 'succeeded')
})

t.test('whoever sends may die: what has no answer is sent again, under the same id', async t => {
  const { rollout } = play({ type: 'start' }, job('a', 'SUCCEEDED'), job('b', 'SUCCEEDED'))
  t.same(again(rollout).map(o => `${o.type} ${o.device} ${o.id}`), ['send c r5', 'send d r5', 'send e r5'])
  t.same(again(play({ type: 'start' }, { type: 'emergency-stop', by: 'kim' }).rollout), [])
})
