import { execFile } from 'node:child_process'
import { cp, readFile, readlink, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { promisify } from 'node:util'
import t from 'tap'
import { Container, whyNot } from './container.js'
import { sourceTree } from './tree.js'

const skip = whyNot()
t.setTimeout(420_000)

/** In the place of the runtime: does what a file tells it, and reports to systemd with our own code. */
const MAIN = `
import { readFileSync } from 'node:fs'
import { systemClock } from '../../base/clock.js'
import { openNotifier } from '../../deploy/notify/notify.js'
import { Watchdog, watchdogLimitMs } from '../../deploy/notify/watchdog.js'
const mode = () => { try { return readFileSync('/var/lib/parley/mode', 'utf8').trim() } catch { return 'well' } }
if (mode() === 'crash') process.exit(1)
let at = performance.now()
setInterval(() => { if (mode() !== 'stall') at = performance.now() }, 50)
const notifier = openNotifier()
console.error('notify by ' + notifier.way)
const dog = new Watchdog(notifier, systemClock, [{ name: 'model', limitMs: 400, lastProgressAt: () => at }])
const stop = new AbortController()
process.on('SIGTERM', () => { dog.stopping(); process.exit(0) })
if (mode() === 'build') { dog.extend(8000, 'builds the engine'); await systemClock.sleep(5000) }
dog.ready()
await dog.run(watchdogLimitMs() ?? 1000, stop.signal)
`

t.test('under a real systemd', { skip }, async t => {
  const from = await sourceTree(t, MAIN)
  await using box = await Container.prepare()
  await promisify(execFile)('sh', [join(from, 'deploy/install.sh'), '--root', box.folder, '--from', from])
  // The real times are 20 s and 2 s: these are for a test that one is willing to run.
  await box.put('etc/systemd/system/parley.service.d/test.conf', '[Unit]\nStartLimitIntervalSec=120\n[Service]\nWatchdogSec=2\nRestartSec=200ms\nTimeoutStartSec=4\n')
  await box.put('etc/systemd/system/parley-fallback.service.d/test.conf', '[Service]\nRuntimeMaxSec=5\n')
  const mode = (text: string): Promise<void> => writeFile(box.path('var/lib/parley/mode'), text)
  await box.boot()

  await t.test('the voice is READY soon after the boot, by the addon', async t => {
    t.equal(await box.until('parley.service', 'ActiveState', /^active$/, 30_000), 'active', await box.journal('parley.service'))
    const [ready, up] = [Number(await box.show('parley.service', 'ActiveEnterTimestampMonotonic')), Number(await box.show('parley.service', 'InactiveExitTimestampMonotonic'))]
    t.comment(`READY ${Math.round((ready - up) / 1_000)} ms after its start; ${await box.run('systemd-analyze', 'time').catch(() => 'boot not finished')}`)
    t.match(await box.journal('parley.service'), /notify by addon/)
    t.equal(await box.show('parley.service', 'User'), 'parley')
    t.equal(await box.show('parley.service', 'StatusText'), 'listening')
  })

  await t.test('a model that stalls gets the voice killed, and it starts again by itself', async t => {
    await mode('stall')
    t.match(await box.until('parley.service', 'NRestarts', /^[1-9]/, 20_000), /^[1-9]/)
    t.match(await readFile(box.path('var/lib/parley/last-failure'), 'utf8'), /result=watchdog/)
  })

  await t.test('after five failures the fallback speaks, and knows why', async t => {
    t.equal(await box.until('parley-fallback.service', 'ActiveState', /^active$/, 60_000), 'active', await box.journal('parley.service'))
    t.match(await box.journal('parley-fallback.service'), /out of service: stalled/)
  })

  await t.test('the fallback gives way after its time, and a voice that is well again stays', async t => {
    await mode('well')
    t.equal(await box.until('parley.service', 'ActiveState', /^active$/, 40_000), 'active', await box.journal('parley-fallback.service'))
    t.not(await box.until('parley-fallback.service', 'ActiveState', /^(inactive|failed)$/, 10_000), 'active')
  })

  await t.test('a clean stop takes less than two seconds and is no failure', async t => {
    const began = performance.now()
    await box.run('systemctl', 'stop', 'parley.service')
    t.ok(performance.now() - began < 2_000, `${Math.round(performance.now() - began)} ms`)
    t.equal(await box.show('parley.service', 'Result'), 'success')
    t.not(await box.show('parley-fallback.service', 'ActiveState'), 'active')
  })

  await t.test('a start that builds an engine gets the time that it asks for', async t => {
    await mode('build')
    await box.run('systemctl', 'start', 'parley.service') // 5 s, and TimeoutStartSec is 4
    t.equal(await box.show('parley.service', 'ActiveState'), 'active')
    await mode('well')
  })

  await t.test('a release on trial that does not stay up is undone by the boot guard', async t => {
    const old = await readlink(box.path('opt/parley/current'))
    const bad = 'f'.repeat(64)
    await cp(box.path(`opt/parley/${old}`), box.path(`opt/parley/releases/${bad}`), { recursive: true, verbatimSymlinks: true })
    await writeFile(box.path(`opt/parley/releases/${bad}/app/dist/runtime/cli/main.js`), 'process.exit(1)\n')
    await writeFile(box.path('var/lib/parley-update/trial'), `release=${bad} previous=${old.slice('releases/'.length)}\n`)
    await box.run('ln', '-sfn', `releases/${bad}`, '/opt/parley/current')
    await box.run('systemctl', 'reset-failed', 'parley.service')
    await box.run('systemctl', 'restart', '--no-block', 'parley.service')
    await box.until('parley.service', 'NRestarts', /^3$/, 30_000)
    t.equal(await box.until('parley.service', 'ActiveState', /^active$/, 30_000), 'active', await box.journal('parley.service'))
    t.equal(await readlink(box.path('opt/parley/current')), old)
    t.match(await readFile(box.path('var/lib/parley-update/flipped'), 'utf8'), bad)
  })

  await t.test('the updater runs inside its sandbox and says what it found', async t => {
    await writeFile(box.path('var/lib/parley-update/trial'), '')
    await box.run('systemctl', 'start', 'parley-update.service').catch(() => {})
    t.match(await box.journal('parley-update.service'), /\bidle\b/)
  })
})
