import { spawnSync } from 'node:child_process'
import { existsSync } from 'node:fs'
import { copyFile, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as delay } from 'node:timers/promises'
import t, { type Test } from 'tap'
import { ManualClock } from '../../base/clock.js'
import { openNotifier, statusLine, type Notifier } from '../../deploy/notify/notify.js'
import { Watchdog, watchdogLimitMs } from '../../deploy/notify/watchdog.js'
import { listener, noPython } from '../rig/service-manager.js'

const ROOT = new URL('../../../', import.meta.url).pathname
const ADDON = join(ROOT, 'dist/deploy/notify/notify.node')
if (!existsSync(ADDON)) spawnSync(process.execPath, [join(ROOT, 'deploy/notify/build.mjs')], { stdio: 'ignore' })
const noAddon = existsSync(ADDON) ? false : 'the addon cannot be compiled here (cc or Node\'s headers are missing)'

for (const kind of ['a path', 'an abstract name'] as const) {
  t.test(`a message reaches the service manager at ${kind}, without a process`, { skip: noAddon || noPython }, async t => {
    const folder = await mkdtemp(join(tmpdir(), 'parley-notify-'))
    t.teardown(() => rm(folder, { recursive: true, force: true }))
    const name = kind === 'a path' ? join(folder, 'socket') : `@parley-${process.pid}`
    const next = await listener(t, name)
    const notifier = openNotifier({ NOTIFY_SOCKET: name })
    t.equal(notifier.way, 'addon')
    notifier.send('READY=1', statusLine('two\nlines'))
    t.equal(await next(), 'READY=1\\nSTATUS=two lines')
  })
}

t.test('a thousand pings cost less than a tenth of a second', { skip: noAddon || noPython }, async t => {
  await listener(t, `@parley-fast-${process.pid}`)
  const notifier = openNotifier({ NOTIFY_SOCKET: `@parley-fast-${process.pid}` })
  const cpu = process.cpuUsage()
  for (let i = 0; i < 1_000; i++) notifier.send('WATCHDOG=1')
  const { user, system } = process.cpuUsage(cpu)
  t.comment(`${((user + system) / 1_000).toFixed(1)} µs of CPU each`)
  t.ok(user + system < 100_000)
})

t.test('a service manager that is gone is an error for the log, not for the voice', { skip: noAddon }, async t => {
  const errors: unknown[] = []
  openNotifier({ NOTIFY_SOCKET: '/nowhere/at/all' }, error => errors.push(error)).send('READY=1')
  t.equal(errors.length, 1)
})

/** The same module at a place where no addon was built. */
async function withoutAddon(t: Test): Promise<typeof openNotifier> {
  const folder = await mkdtemp(join(tmpdir(), 'parley-notify-'))
  t.teardown(() => rm(folder, { recursive: true, force: true }))
  await writeFile(join(folder, 'package.json'), '{"type":"module"}')
  await copyFile(join(ROOT, 'dist/deploy/notify/notify.js'), join(folder, 'notify.js'))
  return ((await import(join(folder, 'notify.js'))) as { openNotifier: typeof openNotifier }).openNotifier
}

const noProgram = spawnSync('systemd-notify', ['--version']).status === 0 ? false : 'systemd-notify is missing here'

t.test('without the addon the real systemd-notify brings each message, for this process', { skip: noProgram || noPython }, async t => {
  const name = `@parley-program-${process.pid}`
  const next = await listener(t, name)
  const notifier = (await withoutAddon(t))({ ...process.env, NOTIFY_SOCKET: name }, error => t.fail(String(error)))
  t.equal(notifier.way, 'program')
  notifier.send('READY=1', statusLine('listening, at last'))
  const message = (await next()).split('\\n')
  for (const line of ['READY=1', 'STATUS=listening, at last', `MAINPID=${process.pid}`]) t.ok(message.includes(line), `${line} in ${message.join(' | ')}`)
  notifier.send('WATCHDOG=1')
  t.equal(await next(), 'BARRIER=1', 'it waits until the first was read')
  t.match(await next(), /(^|\\n)WATCHDOG=1(\\n|$)/)
})

t.test('the program gets each line as one argument, whatever is in it, and the socket\'s name', async t => {
  const open = await withoutAddon(t)
  const folder = await mkdtemp(join(tmpdir(), 'parley-notify-'))
  t.teardown(() => rm(folder, { recursive: true, force: true }))
  const said = join(folder, 'said')
  await writeFile(join(folder, 'systemd-notify'), `#!/bin/sh\n{ printf '%s\\n' "$NOTIFY_SOCKET" "$@"; } >'${said}.new' && mv '${said}.new' '${said}'\n`, { mode: 0o755 })
  open({ PATH: `${folder}:${process.env['PATH']}`, NOTIFY_SOCKET: '/run/systemd/notify' }).send('STATUS=builds the engine; $(reboot)')
  while (!existsSync(said)) await delay(10)
  t.same((await readFile(said, 'utf8')).trim().split('\n'), ['/run/systemd/notify', `--pid=${process.pid}`, 'STATUS=builds the engine; $(reboot)'])
})

t.test('without addon and without program it is an error for the log, not for the voice', async t => {
  const open = await withoutAddon(t)
  const error = await new Promise<unknown>(resolve => open({ PATH: '/nowhere', NOTIFY_SOCKET: '/run/systemd/notify' }, resolve).send('READY=1'))
  t.match(error, { code: 'ENOENT', path: 'systemd-notify' })
})

t.test('without systemd nothing is sent', async t => {
  t.equal(openNotifier({}).way, 'none')
})

function device(t: Test) {
  const clock = new ManualClock(0)
  const sent: string[] = []
  const at = { capture: 0, model: 0, playout: 0 }
  const notifier: Notifier = { way: 'addon', send: (...lines) => void sent.push(...lines) }
  const parts = (['capture', 'model', 'playout'] as const).map(name => ({ name, limitMs: 3_000, lastProgressAt: () => at[name] }))
  const stop = new AbortController()
  t.teardown(() => stop.abort())
  return { clock, sent, at, dog: new Watchdog(notifier, clock, parts), stop, pings: () => sent.filter(l => l === 'WATCHDOG=1').length }
}

for (const stalled of ['capture', 'model', 'playout'] as const) {
  t.test(`a ${stalled} that stands still starves the watchdog, though the event loop turns`, async t => {
    const { clock, at, dog, stop, pings, sent } = device(t)
    const running = dog.run(20_000, stop.signal)
    for (let i = 0; i < 60; i++) {
      await clock.advance(1_000)
      for (const name of ['capture', 'model', 'playout'] as const) if (name !== stalled) at[name] = clock.now()
    }
    t.ok(pings() <= 1, `${pings()} pings`)
    t.ok(sent.some(l => l === `STATUS=no progress: ${stalled}`))
    stop.abort()
    await running
  })
}

t.test('while all get on it is fed four times a limit, and says so again after a stall', async t => {
  const { clock, at, dog, stop, pings, sent } = device(t)
  const running = dog.run(20_000, stop.signal)
  for (let i = 0; i < 60; i++) {
    await clock.advance(1_000)
    at.capture = at.playout = clock.now()
    if (i < 20 || i > 30) at.model = clock.now()
  }
  t.ok(pings() >= 8 && pings() <= 12, `${pings()} pings in a minute`)
  t.equal(sent.filter(l => l.startsWith('STATUS=')).pop(), 'STATUS=listening')
  stop.abort()
  await running
})

t.test('more time is asked for in microseconds, with what for', async t => {
  const { dog, sent } = device(t)
  dog.extend(60_000, 'builds the engine, 30 %')
  t.same(sent, ['EXTEND_TIMEOUT_USEC=60000000', 'STATUS=builds the engine, 30 %'])
})

t.test('the watchdog of another process is not ours', async t => {
  t.equal(watchdogLimitMs({ WATCHDOG_USEC: '20000000', WATCHDOG_PID: '1' }, 2), undefined)
  t.equal(watchdogLimitMs({ WATCHDOG_USEC: '20000000', WATCHDOG_PID: '2' }, 2), 20_000)
  t.equal(watchdogLimitMs({}, 2), undefined)
})
