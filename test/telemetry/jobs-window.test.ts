import t from 'tap'
import { ManualClock } from '../../base/clock.js'
import { Jobs, type JobsOptions } from '../../runtime/shadow/jobs.js'
import { topicsOf } from '../../runtime/telemetry/topics.js'
import { Folder, eventually, silent } from './kit.js'
import { Wire } from './wire.js'

const topics = topicsOf('lab', 'r1')
/** Two minutes before the window, by the clock on the wall here. */
const EVENING = new Date(2026, 5, 1, 1, 58).getTime()
const WINDOW = { from: '02:00', to: '05:00' }
const MINUTE = 60_000

interface Night extends AsyncDisposable {
  readonly clock: ManualClock
  /** Resolves once the device has it on disk. */
  send(id: string, more?: object): Promise<void>
  /** Lets this time pass, in which the device looks each second whether it may begin. True: it never did. */
  waits(ms: number): Promise<boolean>
  done(id: string): Promise<void>
  stateOf(id: string): string | undefined
}

/** Jobs with a window, and a clock that only the test moves. */
async function night(more: Partial<JobsOptions> = {}, start = EVENING): Promise<Night> {
  const folder = await Folder.make()
  const clock = new ManualClock(start)
  const wire = new Wire()
  let [runs, looks] = [0, 0]
  const { busy = () => false, ...rest } = more
  const jobs = new Jobs({
    link: wire, topics, folder: folder.path, clock, log: silent, busy: () => { looks++; return busy() }, window: WINDOW, wall: () => clock.wall(),
    kinds: { polite: { disturbs: true, interrupted: 'failed', run: async () => { runs++ } } }, ...rest,
  })
  await jobs.start()
  const stateOf = (id: string): string | undefined => jobs.all.find(j => j.id === id)?.state
  return {
    clock,
    send: async (id, extra = {}) => {
      wire.deliver(topics.job, { id, kind: 'polite', ...extra }, clock.now())
      await eventually(`${id} is told of`, () => wire.published.some(p => p.body.jobs.some((j: { id: string }) => j.id === id)))
    },
    waits: async ms => {
      const before = looks
      await clock.advance(ms)
      return runs === 0 && looks - before >= ms / 1_000 - 1 // one that begins does not look meanwhile
    },
    stateOf,
    done: id => eventually(`${id} has ended well`, () => stateOf(id) === 'SUCCEEDED'),
    async [Symbol.asyncDispose]() {
      await jobs.close()
      await folder[Symbol.asyncDispose]()
    },
  }
}

t.test('a job that disturbs waits for the maintenance window, though nobody speaks', async t => {
  await using at = await night()
  await at.send('one')
  t.ok(await at.waits(MINUTE), '01:59')
  await at.clock.advance(MINUTE + 1_000)
  await at.done('one')
})

t.test('a job that comes after the window waits for that of the next night', async t => {
  await using at = await night({}, new Date(2026, 5, 1, 5, 0).getTime())
  await at.send('one')
  t.ok(await at.waits(30 * MINUTE))
})

t.test('a job with `now` does not wait for the window', async t => {
  await using at = await night()
  await at.send('one', { now: true })
  await at.clock.advance(6_000)
  await at.done('one')
})

t.test('a job with `now` waits for the end of the conversation all the same', async t => {
  let talking = true
  await using at = await night({ busy: () => talking })
  await at.send('one', { now: true })
  t.ok(await at.waits(MINUTE), 'somebody speaks')
  talking = false
  t.ok(await at.waits(4_000), 'a pause is not the end')
  await at.clock.advance(3_000)
  await at.done('one')
})

t.test('while the clock cannot be believed no window is open; once it can, it is', async t => {
  let trusted = false
  const clock: { at?: ManualClock } = {}
  await using at = await night({ wall: () => (trusted ? clock.at?.wall() : undefined) }, new Date(2026, 5, 1, 3, 0).getTime())
  clock.at = at.clock
  await at.send('one')
  t.ok(await at.waits(5 * MINUTE), 'three o\'clock, if that were true')
  trusted = true
  await at.clock.advance(1_000)
  await at.done('one')
})

t.test('a job with `now` is carried out by a clock that cannot be believed', async t => {
  await using at = await night({ wall: () => undefined })
  await at.send('one', { now: true })
  await at.clock.advance(6_000)
  await at.done('one')
})

t.test('a job that is refused does not begin while its refusal is written down', async t => {
  for (const more of [{ kind: 'dance' }, { timeoutS: 0 }]) {
    await using at = await night({ window: { from: '00:00', to: '23:59' } })
    await at.clock.advance(10_000) // quiet for long enough
    const sent = at.send('one', more)
    for (let n = 0; n < 20; n++) await at.clock.advance(1_000)
    await sent
    t.ok(await at.waits(3_000), 'it looks on, and nothing runs')
    t.equal(at.stateOf('one'), 'REJECTED')
  }
})
