import t from 'tap'
import { TimeFloor } from '../../runtime/telemetry/time-floor.js'
import { ManualClock } from '../../base/clock.js'
import { Broker } from '../rig/broker.js'
import type { JobKind } from '../../runtime/shadow/jobs.js'
import { startDevice } from './fake-device.js'
import { Folder, Listener, eventually, greeted, startTelemetry, turn, wait } from './kit.js'

class WrongClock extends ManualClock {
  wrong = true
  override now(): number { return performance.now() }
  override wall(): number { return this.wrong ? 42_000 : Date.UTC(2026, 5, 1) }
  override sleep(ms: number, signal?: AbortSignal): Promise<void> {
    return new Promise((resolve, reject) => {
      const timer = setTimeout(resolve, ms)
      signal?.addEventListener('abort', () => { clearTimeout(timer); reject(signal.reason) }, { once: true })
    })
  }
}

t.test('with the clock in 1970 telemetry works, its times are after the last good one, in order, and marked', { timeout: 180_000 }, async t => {
  await using broker = await Broker.start()
  await using folder = await Folder.make()
  const clock = new WrongClock()
  clock.wrong = false
  await (await startTelemetry(broker, folder.path, {}, clock)).close() // remembers the good time
  clock.wrong = true
  await using owner = await Listener.open(broker.url)
  await using device = await startTelemetry(broker, folder.path, {}, clock)
  await owner.until(h => h.topic.endsWith('/state') && h.payload.includes('"clock_trusted":false'), 'the state')
  for (let n = 1; n <= 3; n++) {
    device.tell(turn(n))
    await wait(20)
  }
  await owner.until(h => h.topic.endsWith('/turn') && h.payload.includes('"turn":3,'), 'the turns')
  const turns = owner.json('parley/v1/lab/r1/turn')
  t.ok(turns.every(r => r['at'] >= Date.UTC(2026, 5, 1) && r['clock'] === 'floor'))
  t.ok(turns[0]!['at'] < turns[1]!['at'] && turns[1]!['at'] < turns[2]!['at'])
})

t.test('a job that came while the clock stood in 1970 still waits its turn once the time is right', { timeout: 60_000 }, async t => {
  await using broker = await Broker.start()
  await using folder = await Folder.make()
  await using owner = await Listener.open(broker.url)
  const clock = new WrongClock()
  let talking = true
  let runs = 0
  const polite: JobKind = { disturbs: true, interrupted: 'failed', run: async () => { runs++ } }
  const { device } = await startDevice(t, broker, folder.path, {}, { clock, busy: () => talking, jobs: { polite } })
  await greeted(device.telemetry)
  const state = (): string | undefined => owner.json('parley/v1/lab/r1/jobs').at(-1)?.['jobs'][0]?.state
  await owner.publish('parley/v1/lab/r1/job', { id: 'one', kind: 'polite' })
  await eventually('it waits', () => state() === 'QUEUED')
  clock.wrong = false
  await wait(1_500)
  t.equal(state(), 'QUEUED')
  talking = false
  await eventually('it is done', () => state() === 'SUCCEEDED')
  t.equal(runs, 1)
  await device.close()
})

t.test('an hour in 2099, or in 2040, does not spoil the times of the years before', async t => {
  await using folder = await Folder.make()
  const clock = new ManualClock(Date.UTC(2026, 5, 1))
  let synchronised = false
  const floor = new TimeFloor(clock, folder.path, () => synchronised)
  await floor.open()
  await floor.keep()
  await clock.advance(Date.UTC(2099, 0, 1) - clock.now())
  t.notOk(floor.trusted, '2099 is nobody\'s time')
  await floor.keep()
  const next = new TimeFloor(new ManualClock(Date.UTC(2026, 5, 2)), folder.path, () => synchronised)
  await next.open()
  t.ok(next.trusted, 'right again, it is believed')

  await using poisoned = await Folder.make()
  const wrong = new TimeFloor(new ManualClock(Date.UTC(2040, 0, 1)), poisoned.path, () => synchronised)
  await wrong.open()
  await wrong.keep()
  const right = new TimeFloor(new ManualClock(Date.UTC(2026, 5, 2)), poisoned.path, () => synchronised)
  await right.open()
  t.notOk(right.trusted, 'nobody knows which of the two is wrong')
  synchronised = true
  t.equal(right.wall(), Date.UTC(2026, 5, 2), 'a time server does')
  await right.keep()
  synchronised = false
  const healed = new TimeFloor(new ManualClock(Date.UTC(2026, 5, 3)), poisoned.path, () => synchronised)
  await healed.open()
  t.ok(healed.trusted)
})

t.test('a lost or broken file costs only the floor', async t => {
  await using folder = await Folder.make()
  const floor = new TimeFloor(new ManualClock(5), `${folder.path}/none`, () => false)
  await floor.open()
  t.equal(floor.trusted, false, 'before we ever existed')
  t.ok(floor.wall() >= Date.UTC(2025, 0, 1))
})
