import t from 'tap'
import { accept, advance, begin, summary, type Message, type Plan, type Rollout } from '../../deploy/fleet/rollout.js'

const plan: Plan = { id: 'r5', release: 'abc', groups: [['a'], ['b', 'c', 'd', 'e'], ['f', 'g']], errorPercent: 25, successPercent: 75 }
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
  t.same(play({ type: 'start' }, job('a', 'done')).orders, ['send a', 'send b', 'send c', 'send d', 'send e'])
  const end = play({ type: 'start' }, ...['a', 'b', 'c', 'd', 'f', 'g'].map(d => job(d, 'DONE')))
  t.equal(end.rollout.state, 'done')
  t.match(summary(end.rollout), /6 done, 0 failed, 1 under way/)
})

t.test('at the threshold it goes on, above it it stops and calls back those under way', async t => {
  t.equal(play({ type: 'start' }, job('a', 'done'), job('b', 'failed')).rollout.state, 'running')
  const { rollout, orders } = play({ type: 'start' }, job('a', 'done'), job('b', 'failed'), job('c', 'timed-out'))
  t.match(rollout, { state: 'stopped', reason: '50 % of group 2 failed' })
  t.same(orders.filter(o => o.startsWith('cancel')), ['cancel d', 'cancel e'])
})

t.test('an emergency stop ends it at once, and only a person goes on', async t => {
  const stopped = play({ type: 'start' }, job('a', 'done'), { type: 'emergency-stop', by: 'kim' }, job('b', 'done'), job('c', 'done'), job('d', 'done'))
  t.match(stopped.rollout, { state: 'stopped', reason: /kim/ })
  t.notOk(stopped.orders.includes('send f'))
  t.equal(advance(stopped.rollout, { type: 'resume' }).rollout.state, 'running')
})

t.test('a message that comes twice, late, or from elsewhere changes nothing', async t => {
  const once = play({ type: 'start' }, job('a', 'done'))
  for (const message of [job('a', 'done'), job('a', 'failed'), job('z', 'failed'), job('b', 'failed', 'other'), job('b', 'in-progress'), job('f', 'done')]) t.same(advance(once.rollout, message), { rollout: once.rollout, orders: [] })
})

t.test('a device takes a job once, in its time, and only its own', async t => {
  const groups = new Set(['north'])
  const of = (job: object, done: string[] = []): string => accept({ id: 'j', ...job }, new Set(done), groups, 1_000)
  t.equal(of({}), 'run')
  t.equal(of({}, ['j']), 'again')
  t.equal(of({ group: 'south' }), 'not-mine')
  t.equal(of({ expires: 1_000 }), 'expired')
  t.equal(of({ notBefore: 1_001, expires: 2_000 }), 'later')
})
