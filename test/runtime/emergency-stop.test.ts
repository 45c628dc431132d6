import { spawn } from 'node:child_process'
import { existsSync, readFileSync } from 'node:fs'
import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import t, { type Test } from 'tap'
import { systemClock } from '../../base/clock.js'
import { writeFileAtomic } from '../../base/files.js'
import type { FakeActuator } from '../../drivers/actuators/fake.js'
import { openDriver } from '../../drivers/table.js'
import { openSession } from '../../models/engine/index.js'
import { Runtime } from '../../runtime/compose/runtime.js'
import { PacedMicrophone } from '../../runtime/demo/paced-microphone.js'
import { tinyBundle } from '../models/tiny-bundle.js'
import { Folder } from '../telemetry/kit.js'
import { ScriptedModel, defaults, silentLog } from './fakes.js'
import { until } from './live-kit.js'

const MAIN = fileURLToPath(new URL('../../runtime/cli/main.js', import.meta.url))

t.setTimeout(60_000)

const host = { clock: systemClock, log: silentLog, signal: new AbortController().signal }

/** A device whose model is being loaded until `load` gives it, with these sensors. */
async function loading(t: Test, sensors: (typeof defaults)['sensors']) {
  let load: (model: ScriptedModel) => void = () => {}
  const promise = new Promise<ScriptedModel>(resolve => { load = resolve })
  const actuator = (await openDriver('actuator', 'fake', {}, host)) as FakeActuator
  const runtime = new Runtime({
    config: { ...defaults, echo: { mode: 'off' }, sensors }, log: silentLog, onEvent: () => {}, openModel: () => promise,
    microphone: new PacedMicrophone(systemClock), speaker: await openDriver('speaker', 'null', {}, host), actuator,
  })
  const opening = runtime.open()
  opening.catch(() => {}) // where the test ends before the model is there
  t.teardown(() => runtime[Symbol.asyncDispose]())
  return { actuator, opening, load }
}

/** A running device whose stop source is the file, which holds `rest`. */
async function device(t: Test, sensor: Record<string, unknown> & { driver: string }, key: string, rest: string) {
  const folder = await mkdtemp(join(tmpdir(), 'parley-stop-'))
  const file = join(folder, 'value')
  await writeFile(file, rest)
  const bundle = await tinyBundle()
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

t.test('the button stops the actuators while a model still loads, and after', async t => {
  await using folder = await Folder.make()
  const gpio = join(folder.path, 'value')
  await writeFile(gpio, '0')
  const { actuator, opening, load } = await loading(t, { stop: { driver: 'button', intervalMs: 20, gpio } })
  await systemClock.sleep(100)
  t.equal(actuator.stoppedAt.length, 0, 'not yet')
  for (const times of [1, 2]) {
    await writeFileAtomic(gpio, '1')
    t.ok(await until(() => actuator.stoppedAt.length === times, 3_000), 'it is stopped')
    await writeFileAtomic(gpio, '0')
    await systemClock.sleep(100)
    if (times === 1) load(new ScriptedModel(() => ({})))
    await opening
  }
})

t.test('what a sensor told while the model loaded is told to the model', async t => {
  await using folder = await Folder.make()
  const path = join(folder.path, 'door')
  await writeFile(path, 'shut')
  const { opening, load } = await loading(t, { door: { driver: 'file', intervalMs: 20, path } })
  await systemClock.sleep(100)
  await writeFileAtomic(path, 'open')
  await systemClock.sleep(300)
  const model = new ScriptedModel(() => ({}))
  load(model)
  await opening
  t.same(model.told, ['door open'], 'the newest, once')
})

t.test('SIGUSR2 stops the actuators of a `parley run` whose model cannot load, and SIGTERM ends it', async t => {
  await using folder = await Folder.make()
  const touched = join(folder.path, 'stopped')
  await writeFile(join(folder.path, 'run.toml'), `[microphone]\ndriver = "fake"\nscript = [{ ms = 60000 }]\n[speaker]\ndriver = "null"\n[actuator]\ndriver = "command"\ncalls = {}\nstop = ["touch", "${touched}"]\n`)
  const voice = spawn(process.execPath, [MAIN, 'run', '--config', 'run.toml'], { cwd: folder.path, stdio: 'ignore' })
  t.teardown(() => void voice.kill('SIGKILL'))
  // Not before it runs its own program: its parent waits for that.
  const engineOf = (): number | undefined => readFileSync(`/proc/${voice.pid}/task/${voice.pid}/children`, 'utf8').trim().split(' ').filter(Boolean).map(Number).find(pid => readFileSync(`/proc/${pid}/cmdline`, 'utf8').includes('child.js'))
  t.ok(await until(() => engineOf() !== undefined, 10_000), 'the process for the model is there')
  const engine = engineOf() as number
  process.kill(engine, 'SIGSTOP')
  voice.kill('SIGUSR2')
  t.ok(await until(() => existsSync(touched), 20_000), 'it is stopped')
  voice.kill('SIGTERM')
  t.ok(await until(() => voice.exitCode !== null, 2_000), 'it ends in time')
  t.equal(voice.exitCode, 0)
  t.notOk(existsSync(`/proc/${engine}`), 'no process is left')
})
