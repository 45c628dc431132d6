import { execFile } from 'node:child_process'
import { cp, mkdir, writeFile } from 'node:fs/promises'
import { dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'
import t, { type Test } from 'tap'
import type { Finding } from '../../base/finding.js'
import { LocalMachine } from '../../deploy/jetson/machine.js'
import type { Manifest } from '../../models/bundle/index.js'
import { configSchema } from '../../runtime/config/schema.js'
import { runCheck, type Check } from '../../runtime/doctor/check.js'
import { deviceChecks } from '../../runtime/doctor/device-checks.js'
import { jetsonChecks } from '../../runtime/doctor/jetson-checks.js'
import { DeviceAndVendor } from '../deploy/device.js'
import { DAY } from '../deploy/tuf-kit.js'
import { tinyBundle } from '../models/tiny-bundle.js'

t.setTimeout(120_000)
const RECORDED = fileURLToPath(new URL('../../../test/deploy/orin-nano', import.meta.url))
const MAIN = fileURLToPath(new URL('../../runtime/cli/main.js', import.meta.url))
const UPDATES = '[update]\nfrom = "VENDOR"\nquietMinutes = 0\nreserveMegabytes = 0\n'

/** A device with one release, and programs that say what they are told to. */
async function device(t: Test, more: { by?: 'job'; systemctl?: string; synchronised?: string; freeMb?: number } = {}) {
  const d = await DeviceAndVendor.make(t, '')
  const put = async (path: string, text: string): Promise<void> => {
    await mkdir(dirname(join(d.root, path)), { recursive: true })
    await writeFile(join(d.root, path), text)
  }
  await put('etc/parley/parley.toml', UPDATES.replace('VENDOR', d.vendor.path('')))
  await put('says', `case $1 in systemctl) printf '${more.systemctl ?? 'ActiveState=active\\nNRestarts=0\\n\\nActiveState=inactive\\nNRestarts=0\\n'}' ;; timedatectl) echo ${more.synchronised ?? 'yes'} ;; esac\n`)
  const says = (name: string): string[] => ['sh', join(d.root, 'says'), name]
  const machine = new LocalMachine(d.root, { systemctl: says('systemctl'), timedatectl: says('timedatectl') })
  const config = configSchema.parse({ update: { from: d.vendor.path(''), reserveMegabytes: 0, by: more.by ?? 'timer' } })
  const around = { root: d.root, machine, wall: () => d.wall(), freeBytes: async () => (more.freeMb ?? 9_000) * 1e6 }
  const look = async (what: string): Promise<Finding | undefined> => find(await deviceChecks(config, around), what)
  return { d, put, look }
}

async function find(checks: readonly Check[], what: string): Promise<Finding | undefined> {
  const check = checks.find(c => c.what === what)
  return check && runCheck(check)
}

t.test('a device that is well is well in every line', async t => {
  const { look } = await device(t)
  for (const what of ['clock', 'disk', 'service', 'update', 'installed files']) t.match(await look(what), { state: 'ok' }, what)
  t.match((await look('update'))?.seen, /release 1\.1, nothing under way/)
})

t.test('on a machine where nothing is installed only the clock is looked at', async t => {
  const around = { root: '/nowhere', machine: new LocalMachine('/nowhere'), wall: () => Date.now(), freeBytes: async () => 1 }
  t.same((await deviceChecks(configSchema.parse({}), around)).map(c => c.what), ['clock'])
})

t.test('a clock that nobody set is a warning; one that is behind a time that was good fails', async t => {
  const { d, put, look } = await device(t, { synchronised: 'no' })
  t.match(await look('clock'), { state: 'warn', seen: /not synchronised/, mend: /timedatectl set-ntp true/ })
  await put('var/lib/parley-update/time-floor', `${Date.now()}\n`)
  d.wall = () => Date.now() - 400 * DAY
  t.match(await look('clock'), { state: 'fail', seen: /certificates are refused/ })
})

t.test('a full disk fails, one without room for the next release warns', async t => {
  t.match(await (await device(t, { freeMb: 3 })).look('disk'), { state: 'fail', seen: /3\.0 MB free below \/opt\/parley/, mend: /vacuum/ })
  const { d, look } = await device(t, { freeMb: 20 })
  await d.publish(2, 30e6)
  await d.update()
  t.match(await look('disk'), { state: 'warn', seen: /the next release may need 60/ })
})

t.test('why the voice stopped last is told with what mends it, for a day', async t => {
  const { d, put, look } = await device(t)
  await put('var/lib/parley/last-failure', `result=watchdog code=killed status=KILL at=${new Date().toISOString()}\n`)
  t.match(await look('service'), { state: 'warn', seen: /^active; last failure: stalled on 20\d\d-/, mend: /journalctl -u parley/ })
  d.wall = () => Date.now() + 2 * DAY
  t.match(await look('service'), { state: 'ok', seen: /last failure: stalled/ })
})

t.test('a device that speaks its fallback is out of service, and the configuration is named as why', async t => {
  const { put, look } = await device(t, { systemctl: 'ActiveState=failed\\nNRestarts=5\\n\\nActiveState=active\\nNRestarts=0\\n' })
  await put('var/lib/parley/last-failure', 'result=exit-code code=exited status=3 at=2026-06-01T00:00:00Z\n')
  t.match(await look('service'), { state: 'fail', seen: /^out of service; last failure: wrong-configuration/, mend: /parley check-config; then: sudo systemctl reset-failed/ })
})

t.test('a voice that was stopped by hand for this report is no failure', async t => {
  const { look } = await device(t, { systemctl: 'ActiveState=inactive\\nNRestarts=0\\n\\nActiveState=inactive\\nNRestarts=0\\n' })
  t.match(await look('service'), { state: 'ok', seen: 'inactive; no failure noted' })
})

for (const [what, says, listens, seen] of [
  ['shows its page', 'ActiveState=active\\nNRestarts=2\\nConditionResult=yes\\n', true, { state: 'ok', seen: /8137\/, begun anew 2 times/ }],
  ['waits for its page', 'ActiveState=active\\nNRestarts=0\\nConditionResult=yes\\n', false, { state: 'warn', seen: /nobody serves/, mend: /serves the page/ }],
  ['has no graphics card', 'ActiveState=inactive\\nNRestarts=0\\nConditionResult=no\\n', true, { state: 'warn', seen: /no graphics card/, mend: /--screen/ }],
  ['was stopped', 'ActiveState=failed\\nNRestarts=0\\nConditionResult=yes\\n', true, { state: 'warn', seen: 'failed', mend: /journalctl -u parley-screen/ }],
] as const) {
  t.test(`a screen that ${what} is told as that`, async t => {
    const { put, look } = await device(t, { systemctl: says })
    t.equal(await look('screen'), undefined, 'where there is none, nothing is said')
    await put('etc/systemd/system/parley.target.wants/parley-screen.service', '')
    await put('proc/net/tcp', listens ? '   0: 0100007F:1FC9 00000000:0000 0A 00000000:00000000 00:00000000\n' : '')
    t.match(await look('screen'), seen)
  })
}

t.test('what nobody foresaw has a next step, too', async t => {
  const found = await runCheck({ what: 'disk', needed: true, look: () => Promise.reject(new TypeError('undefined is not a function')) })
  t.match(found, { state: 'fail', seen: /undefined is not/, mend: /once more/ })
})

t.test('a release on trial is told, and one that had to be started again warns', async t => {
  const { d, put, look } = await device(t)
  d.broker = 'pending'
  const next = await d.publish(2)
  await d.update()
  t.match(await look('update'), { state: 'ok', seen: 'release 1.2 is on trial' })
  await put('var/lib/parley-update/boots', `release=${next} count=2\n`)
  t.match(await look('update'), { state: 'warn', seen: /started 2 times without an answer/, mend: /roll-back/ })
})

t.test('a release that was given up is told with why', async t => {
  const { d, look } = await device(t)
  d.answers = false
  await d.publish(2)
  await d.update()
  t.match(await look('update'), { state: 'warn', seen: /release 1\.1; [0-9a-f]{12} was given up: the golden utterance/, mend: /tell the vendor/ })
})

t.test('what was refused by its signature fails, and a vendor who is not heard of warns', async t => {
  const { d, put, look } = await device(t)
  await d.publish(2)
  await d.update()
  d.wall = () => Date.now() + 8 * DAY
  t.match(await look('update'), { state: 'warn', seen: /whose signatures ended on/ })
  await put('run/parley-update/state.json', '{"state":"idle","code":"update-refused","reason":"timestamp was refused"}')
  t.match(await look('update'), { state: 'fail', seen: /refused: timestamp/ })
})

t.test('a device that is led by jobs asks nobody meanwhile, and that is no warning', async t => {
  const { d, look } = await device(t, { by: 'job' })
  await d.publish(2)
  await d.update()
  d.wall = () => Date.now() + 30 * DAY
  t.match(await look('update'), { state: 'ok' })
})

t.test('a device without the vendor\'s root says that it takes no updates', async t => {
  const { d, look } = await device(t)
  const { rm } = await import('node:fs/promises')
  await rm(join(d.root, 'etc/parley/root.json'))
  t.match(await look('update'), { state: 'warn', mend: /--trust/ })
})

/** The recorded Orin Nano with some files changed. */
async function orin(t: Test, changes: Readonly<Record<string, string>> = {}, change?: (manifest: Manifest) => void): Promise<(what: string) => Promise<Finding | undefined>> {
  const root = t.testdir()
  await cp(RECORDED, root, { recursive: true })
  for (const [path, text] of Object.entries(changes)) await writeFile(join(root, path), text)
  const bundle = await tinyBundle(change)
  t.teardown(() => bundle[Symbol.asyncDispose]())
  return async what => find(await jetsonChecks(configSchema.parse({}), new LocalMachine(root), bundle.folder, join(root, 'engines')), what)
}

t.test('a Jetson says its module, JetPack, power mode and heat, and which engine is missing', async t => {
  const look = await orin(t)
  t.match(await look('Jetson'), { state: 'ok', seen: /Orin Nano.*JetPack 6 \(L4T 36\.4\.3\), CUDA 12\.6\.68, TensorRT 10\.3/ })
  t.match(await look('power and heat'), { state: 'ok', seen: 'power mode 25W, 51 °C, it slows at 99' })
  t.match(await look('engine'), { state: 'warn', mend: 'sudo parley engines build' })
})

t.test('a bundle without a graph for TensorRT is no fault of the device', async t => {
  const look = await orin(t, {}, manifest => {
    const step = manifest.graphs['step'] as { files: { any?: unknown; cpu?: unknown } }
    step.files = { cpu: step.files.any }
  })
  const found = await look('engine')
  t.match(found, { state: 'ok', seen: 'this bundle has no graph for TensorRT: none is needed' })
  t.equal(found?.mend, undefined, 'nor is there anything to be done')
})

t.test('a power mode that leaves less is told, and is no warning: it was chosen', async t => {
  t.match(await (await orin(t, { 'var/lib/nvpmodel/status': 'pmode:0000' }))('power and heat'), { state: 'ok', seen: /^power mode 15W, 51 °C, it slows at 99; .*50 ms for a step/ })
})

t.test('what a Jetson lacks is told with the command that brings it', async t => {
  const look = await orin(t, { 'var/lib/dpkg/status': '' })
  t.match(await look('Jetson'), { state: 'warn', seen: /TensorRT is missing/, mend: /apt-get install nvidia-jetpack/ })
  t.equal(await look('engine'), undefined)
  t.match(await (await orin(t, { 'etc/nv_tegra_release': '# R35 (release), REVISION: 4.1' }))('Jetson'), { state: 'fail', seen: /JetPack 6 or 7 is needed/, mend: /flash/ })
})

t.test('a Jetson that is slowed or hot warns', async t => {
  t.match(await (await orin(t, { 'sys/class/thermal/cooling_device1/cur_state': '2' }))('power and heat'), { state: 'warn', seen: /slowed by its heat or its power limit/, mend: /nvpmodel/ })
  t.match(await (await orin(t, { 'sys/class/thermal/thermal_zone0/temp': '98000' }))('power and heat'), { state: 'warn', seen: /hot/ })
})

t.test('the command shows it, as text on one page and as JSON', async t => {
  const { d } = await device(t)
  await cp(RECORDED, d.root, { recursive: true })
  await using bundle = await tinyBundle()
  const run = (...args: string[]): Promise<string> => new Promise(resolve => {
    execFile(process.execPath, [MAIN, 'doctor', '--bundle', bundle.folder, ...args], { cwd: d.root, env: { ...process.env, PARLEY_ROOT: d.root, PULSE_SERVER: 'unix:/nowhere', ALSA_CONFIG_PATH: '/dev/null' }, timeout: 60_000 }, (_error, out) => resolve(out))
  })
  const report = JSON.parse(await run('--json')) as { findings: Finding[] }
  for (const what of ['clock', 'disk', 'service', 'update', 'installed files', 'Jetson', 'power and heat', 'engine']) t.ok(report.findings.some(f => f.what === what && f.seen), what)
  const text = await run()
  t.match(text, /^ok    Jetson            NVIDIA Jetson Orin Nano/m)
  t.ok(text.trim().split('\n').length <= 60, 'one page')
})
