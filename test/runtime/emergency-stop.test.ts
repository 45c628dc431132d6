import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import t, { type Test } from 'tap'
import { systemClock } from '../../base/clock.js'
import { writeFileAtomic } from '../../base/files.js'
import type { FakeActuator } from '../../drivers/actuators/fake.js'
import { openDriver } from '../../drivers/table.js'
import { openSession } from '../../models/engine/index.js'
import { Runtime } from '../../runtime/compose/runtime.js'
import { PacedMicrophone } from '../../runtime/demo/paced-microphone.js'
import { tinyBundle } from '../models/tiny-bundle.js'
import { defaults, silentLog } from './fakes.js'
import { until } from './live-kit.js'

t.setTimeout(60_000)

/** A running device whose stop source is the file, which holds `rest`. */
async function device(t: Test, sensor: Record<string, unknown> & { driver: string }, key: string, rest: string) {
  const folder = await mkdtemp(join(tmpdir(), 'parley-stop-'))
  const file = join(folder, 'value')
  await writeFile(file, rest)
  const bundle = await tinyBundle()
  const host = { clock: systemClock, log: silentLog, signal: new AbortController().signal }
  const session = await openSession(bundle.folder, { providers: ['cpu'], cacheFolder: bundle.folder })
  const actuator = (await openDriver('actuator', 'fake', {}, host)) as FakeActuator
  const runtime = new Runtime({
    config: { ...defaults, echo: { mode: 'off' }, sensors: { stop: { intervalMs: 20, ...sensor, [key]: file } } }, log: silentLog, onEvent: () => {}, openModel: async () => session,
    microphone: new PacedMicrophone(systemClock), speaker: await openDriver('speaker', 'null', {}, host), actuator,
  })
  await runtime.open()
  t.teardown(async () => {
    await runtime[Symbol.asyncDispose]()
    await bundle[Symbol.asyncDispose]()
    await rm(folder, { recursive: true })
  })
  return { session, actuator, set: (value: string) => writeFileAtomic(file, value) }
}

t.test('the button stops the actuators though the model was killed', async t => {
  const { session, actuator, set } = await device(t, { driver: 'button' }, 'gpio', '0')
  process.kill(session.pid ?? 0, 'SIGKILL')
  const pressedAt = systemClock.now()
  await set('1')
  t.ok(await until(() => actuator.stoppedAt.length === 1, 3_000), 'it is stopped')
  t.comment(`${Math.round((actuator.stoppedAt[0] ?? NaN) - pressedAt)} ms`)
})

t.test('a numeric stop source at 0 stops nothing, neither at the start nor when it goes back, and at 1 it does', async t => {
  const { actuator, set } = await device(t, { driver: 'file' }, 'path', '0')
  await systemClock.sleep(300)
  t.equal(actuator.stoppedAt.length, 0, 'at the start')
  await set('1')
  t.ok(await until(() => actuator.stoppedAt.length === 1, 3_000), 'it is stopped')
  await set('0')
  await systemClock.sleep(300)
  t.equal(actuator.stoppedAt.length, 1, 'when it goes back')
})
