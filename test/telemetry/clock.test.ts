import t from 'tap'
import { TimeFloor } from '../../runtime/telemetry/time-floor.js'
import { ManualClock } from '../../base/clock.js'
import { Broker } from '../rig/broker.js'
import { Folder, Listener, startTelemetry, turn, wait } from './kit.js'

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

t.test('a lost or broken file costs only the floor', async t => {
  await using folder = await Folder.make()
  const floor = new TimeFloor(new ManualClock(5), `${folder.path}/none`)
  await floor.open()
  t.equal(floor.trusted, false, 'before we ever existed')
  t.ok(floor.wall() >= Date.UTC(2025, 0, 1))
})
