import { spawn, type ChildProcess } from 'node:child_process'
import { cp, mkdir, readFile, symlink, writeFile } from 'node:fs/promises'
import { randomBytes } from 'node:crypto'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import t from 'tap'
import { ManualClock } from '../../base/clock.js'
import { isThere } from '../../base/files.js'
import type { Notifier } from '../../deploy/notify/notify.js'
import { Layout } from '../../deploy/update/layout.js'
import { Service } from '../../runtime/compose/service.js'
import { topicsOf } from '../../runtime/telemetry/topics.js'
import { tinyBundle } from '../models/tiny-bundle.js'
import { Broker } from '../rig/broker.js'
import { Folder, Listener, eventually, silent } from '../telemetry/kit.js'

const MAIN = fileURLToPath(new URL('../../runtime/cli/main.js', import.meta.url))
const json = async (path: string): Promise<any> => JSON.parse(await readFile(path, 'utf8').catch(() => '{}'))

t.test('READY comes once, the watchdog is fed while all parts get on, and not when one stands still', async t => {
  await using folder = await Folder.make()
  const clock = new ManualClock(1_000)
  const sent: string[] = []
  const notifier: Notifier = { way: 'addon', send: (...lines) => void sent.push(...lines) }
  const release = 'a'.repeat(64)
  await mkdir(join(folder.path, 'opt/parley'), { recursive: true })
  await symlink(`releases/${release}`, join(folder.path, 'opt/parley/current'))
  const service = new Service({ clock, log: silent, notifier, layout: new Layout(folder.path), env: { RUNTIME_DIRECTORY: folder.path, WATCHDOG_USEC: '20000000' } })
  const status = join(folder.path, 'status.json')
  await service.start()
  t.match(await json(status), { release, selfTest: 'pending', broker: 'pending', startedAt: 1_000 })

  const part = { name: 'capture', limitMs: 3_000, lastProgressAt: () => at }
  let [at, busy] = [clock.now(), false]
  service.ready([part], () => busy)
  t.equal(sent.filter(s => s === 'READY=1').length, 1)
  const pings = (): number => sent.filter(s => s === 'WATCHDOG=1').length
  for (let n = 0; n < 20; n++) { at = clock.now() + 1_000; await clock.advance(1_000) }
  t.ok(pings() >= 4, `${pings()} pings in 20 s`)
  const before = pings()
  await clock.advance(30_000)
  t.ok(pings() - before <= 1, 'a stalled part gets none')
  t.ok(sent.includes('STATUS=no progress: capture'))

  await t.test('the updater is held off from the first word until some seconds after the last', async t => {
    const talking = join(folder.path, 'talking')
    busy = true
    await clock.advance(1_000)
    await eventually('the lock is there', () => isThere(talking))
    busy = false
    await clock.advance(3_000)
    t.ok(await isThere(talking), 'a pause is not the end')
    await clock.advance(4_000)
    await eventually('the lock is gone', async () => !(await isThere(talking)))
    await eventually('the time of the last talk', async () => (await json(status)).lastTalkAt > 1_000)
  })
  await service.selfTest(true)
  service.brokerReached()
  await service[Symbol.asyncDispose]()
  t.match(await json(status), { release, selfTest: 'passed', broker: 'reached' })
  t.equal(sent.at(-1), 'STOPPING=1')
})

t.test('a model that loads slowly is given time again and again, and once it is open nothing else is', async t => {
  const clock = new ManualClock()
  const sent: string[] = []
  const extended = (): number => sent.filter(s => s === 'EXTEND_TIMEOUT_USEC=30000000').length
  await using service = new Service({ clock, log: silent, notifier: { way: 'addon', send: (...lines) => void sent.push(...lines) }, env: {} })
  await service.start()
  await clock.advance(15_000)
  t.equal(extended(), 0, 'what comes before the model gets none')
  let open = (): void => {}
  const loading = service.loading(() => new Promise<string>(resolve => { open = () => resolve('a model') }))
  await clock.advance(15_000)
  t.ok(extended() >= 2, `${extended()} times in 15 s`)
  const before = extended()
  open()
  t.equal(await loading, 'a model')
  await clock.advance(60_000)
  t.equal(extended(), before)
})

t.test('a model that cannot be opened is given no more time, and why is thrown', async t => {
  const clock = new ManualClock()
  const sent: string[] = []
  await using service = new Service({ clock, log: silent, notifier: { way: 'addon', send: (...lines) => void sent.push(...lines) }, env: {} })
  await t.rejects(service.loading(() => Promise.reject(new Error('torn'))), { message: 'torn' })
  const before = sent.length
  await clock.advance(60_000)
  t.equal(sent.length, before)
})

t.test('started by hand it tells nobody anything', async t => {
  const service = new Service({ clock: new ManualClock(), log: silent, env: {} })
  await service.start()
  t.equal(service.judged, false)
  await service[Symbol.asyncDispose]()
})

t.test('as a service: self-test and broker in its status; a bundle chosen from afar holds over the restart, and a broken one does not make it dumb', { timeout: 200_000 }, async t => {
  await using broker = await Broker.start()
  await using folder = await Folder.make()
  await using bundle = await tinyBundle()
  await using owner = await Listener.open(broker.url)
  const topics = topicsOf('lab', 'r1')
  const bundles = join(folder.path, 'bundles')
  await cp(bundle.folder, join(bundles, 'other'), { recursive: true })
  await writeFile(join(folder.path, 'run.toml'), `
[microphone]
driver = "fake"
repeat = true
[speaker]
driver = "null"
[bundle]
path = "${bundle.folder}"
folder = "${bundles}"
[telemetry]
site = "lab"
device = "r1"
broker = { url = "${broker.url}" }
folder = "${join(folder.path, 'telemetry')}"
stateS = 1
`)
  const status = join(folder.path, 'status.json')
  let running: ChildProcess | undefined
  t.teardown(() => running?.kill('SIGKILL'))
  const start = async (): Promise<{ child: ChildProcess; exit: Promise<number | null> }> => {
    const state = owner.all(topics.state).length
    const child = running = spawn(process.execPath, [MAIN, 'run', '--config', 'run.toml'], { cwd: folder.path, env: { ...process.env, RUNTIME_DIRECTORY: folder.path, PARLEY_CACHE: join(folder.path, 'cache') }, stdio: ['ignore', 'ignore', 'inherit'] })
    const exit = new Promise<number | null>(resolve => child.once('exit', resolve))
    await eventually('it listens', () => owner.all(topics.state).length > state, 60_000)
    return { child, exit }
  }
  const ask = async (name: string, args: unknown): Promise<any> => {
    const correlationData = randomBytes(8)
    await owner.publish(`${topics.command}/${name}`, args, { properties: { responseTopic: `${topics.reply}/test`, correlationData } })
    const answer = await owner.until(h => h.topic === `${topics.reply}/test` && h.packet.properties?.correlationData?.equals(correlationData) === true, `an answer to ${name}`)
    return JSON.parse(answer.payload.toString())
  }

  const first = await start()
  await eventually('the updater may judge it', async () => (await json(status)).broker === 'reached')
  t.equal((await json(status)).selfTest, 'passed', 'the golden utterance was answered')
  t.ok((await ask('logs', { lines: 50 })).result.lines.some((line: string) => line.includes('listening')), 'its log can be read')
  t.match(await ask('bundle-use', { name: 'other' }), { ok: true })
  t.equal(await first.exit, 75, 'it wants to be started again')

  const second = await start()
  t.match(await json(join(folder.path, 'telemetry', 'bundle.json')), { name: 'other' })
  t.match(await ask('bundle-use', { name: 'other' }), { ok: true }, 'it runs already: nothing to do')
  await writeFile(join(bundles, 'other', 'step.onnx'), 'torn')
  t.match(await ask('restart', { reason: 'a test' }), { ok: true })
  t.equal(await second.exit, 75)

  const third = await start()
  t.notOk((await json(join(folder.path, 'telemetry', 'bundle.json'))).name, 'the choice is forgotten')

  await cp(bundle.folder, join(bundles, 'other'), { recursive: true })
  const job = (): { state?: string } => owner.json(topics.jobs).at(-1)?.['jobs'].find((j: { id: string }) => j.id === 'change') ?? {}
  await owner.publish(topics.job, { id: 'change', kind: 'bundle-use', args: { name: 'other' } })
  t.equal(await third.exit, 75)
  t.equal(job().state, 'IN_PROGRESS', 'a job that changes the bundle is not done with the choice')
  const fourth = await start()
  await eventually('it is done once the bundle runs', () => job().state === 'SUCCEEDED')
  t.match(await json(join(folder.path, 'telemetry', 'bundle.json')), { name: 'other', is: 'runs' })
  fourth.child.kill('SIGTERM')
  t.equal(await fourth.exit, 0)
  await owner.until(h => h.topic === topics.availability && owner.all(topics.availability).at(-1)?.payload.toString() === 'offline', 'a goodbye')
})
