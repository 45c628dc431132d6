import t from 'tap'
import { systemClock } from '../../base/clock.js'
import { openSession } from '../../models/engine/index.js'
import { SpareChild } from '../../models/engine/spare-child.js'
import { tick, tinyBundle } from './tiny-bundle.js'

t.setTimeout(30_000)
const bundle = await tinyBundle()
t.teardown(() => bundle[Symbol.asyncDispose]())
const open = (spare: SpareChild) => openSession(bundle.folder, { providers: ['cpu'], cacheFolder: bundle.folder, spare })

/** Whether it is gone within 10 s. */
async function gone(pid: number): Promise<boolean> {
  for (const end = systemClock.now() + 10_000; systemClock.now() < end; await systemClock.sleep(10)) {
    try {
      process.kill(pid, 0)
    } catch {
      return true
    }
  }
  return false
}

t.test('a session runs in the process that was started before it was asked for', async t => {
  using spare = new SpareChild()
  const { pid } = spare
  await using session = await open(spare)
  t.ok(pid)
  t.equal(session.pid, pid)
  t.equal(spare.take(), undefined, 'it is taken once')
  t.match(await session.step(tick(0)), {})
})

t.test('one that has died meanwhile is not taken, and the session starts its own', async t => {
  using spare = new SpareChild()
  const pid = spare.pid as number
  process.kill(pid, 'SIGKILL')
  t.ok(await gone(pid))
  await using session = await open(spare)
  t.not(session.pid, pid)
  t.match(await session.step(tick(0)), {})
})

t.test('one that nobody takes ends with its owner', async t => {
  let pid = 0
  {
    using spare = new SpareChild()
    pid = spare.pid as number
  }
  t.ok(await gone(pid))
})
