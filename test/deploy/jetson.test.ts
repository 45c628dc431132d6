import { cp, mkdir, mkdtemp, readFile, readdir, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import t, { type Test } from 'tap'
import { ManualClock } from '../../base/clock.js'
import { detect } from '../../deploy/jetson/detect.js'
import { buildEngine, type BuildProgress } from '../../deploy/jetson/engine.js'
import { LocalMachine } from '../../deploy/jetson/machine.js'
import { budget, readThermal } from '../../deploy/jetson/power.js'
import { dropEngines, prepareEngines, type EngineProgress } from '../../deploy/jetson/prepare.js'

const HERE = new URL('../../../test/deploy/', import.meta.url).pathname
const TRTEXEC = [process.execPath, join(HERE, 'trtexec.mjs')]
const { signal } = new AbortController()
t.setTimeout(60_000)

/** A copy of the recorded Orin Nano with some files changed; `null` removes one. */
async function orin(t: Test, changes: Readonly<Record<string, string | null>> = {}): Promise<{ root: string; machine: LocalMachine }> {
  const root = await mkdtemp(join(tmpdir(), 'parley-orin-'))
  t.teardown(() => rm(root, { recursive: true, force: true }))
  await cp(join(HERE, 'orin-nano'), root, { recursive: true })
  for (const [path, text] of Object.entries(changes)) {
    await mkdir(dirname(join(root, path)), { recursive: true })
    if (text === null) await rm(join(root, path), { recursive: true })
    else await writeFile(join(root, path), text)
  }
  return { root, machine: new LocalMachine(root, { trtexec: TRTEXEC }) }
}

t.test('the module, JetPack, CUDA and TensorRT are found', async t => {
  const { machine } = await orin(t)
  t.match(await detect(machine), { module: 'NVIDIA Jetson Orin Nano Engineering Reference Developer Kit Super', chip: 'tegra234', computeCapability: '87', l4t: '36.4.3', jetpack: 6, cuda: '12.6.68', tensorrt: '10.3.0.30', complaints: [] })
})

t.test('a machine without NVIDIA\'s device tree is no Jetson', async t => {
  t.equal(await detect(new LocalMachine('/nowhere')), undefined)
})

t.test('an old JetPack and missing libraries are named with what mends them', async t => {
  const { machine } = await orin(t, { 'etc/nv_tegra_release': '# R35 (release), REVISION: 4.1, GCID: 1, BOARD: t186ref, EABI: aarch64', 'usr/local/cuda/version.json': null, 'var/lib/dpkg/status': '' })
  const found = await detect(machine)
  t.match(found?.complaints, [/JetPack 6 or 7/, /CUDA is missing.*apt-get/, /TensorRT is missing/])
})

t.test('a removed TensorRT that dpkg still lists is missing', async t => {
  const { machine } = await orin(t, { 'var/lib/dpkg/status': 'Package: libnvinfer10\nStatus: deinstall ok config-files\nVersion: 10.3.0.30-1+cuda12.5\n' })
  t.equal((await detect(machine))?.tensorrt, undefined)
})

t.test('power mode and the zone nearest to its limit are read', async t => {
  const { machine } = await orin(t)
  t.same(await readThermal(machine), { temperature: 51.2, throttleAt: 99, throttled: false, powerMode: '25W' })
})

t.test('a fan at work is no throttling, a slowed processor is', async t => {
  t.equal((await readThermal((await orin(t, { 'sys/class/thermal/cooling_device0/cur_state': '3' })).machine)).throttled, false)
  t.equal((await readThermal((await orin(t, { 'sys/class/thermal/cooling_device1/cur_state': '2' })).machine)).throttled, true)
})

t.test('heat takes pictures away first, then the steps of silence and time, and all of it before the chip throttles', async t => {
  const at = (temperature: number): ReturnType<typeof budget> => budget({ temperature, throttleAt: 99, throttled: false, powerMode: '25W' })
  t.same([60, 94.5, 98].map(c => [at(c).stepMs, at(c).images, at(c).doze]), [[60, true, false], [60, false, false], [50, false, true]])
  t.match(budget({ temperature: 60, throttleAt: 99, throttled: true, powerMode: '7W' }), { stepMs: 40, images: false, doze: true })
  t.match(budget({ temperature: undefined, throttleAt: undefined, throttled: false, powerMode: undefined }), { stepMs: 60 }, 'unknown is not hot')
})

async function order(t: Test, graph = 'graph') {
  const { root, machine } = await orin(t)
  await writeFile(join(root, 'model.onnx'), graph)
  return { root, machine, order: { graph: join(root, 'model.onnx'), engine: join(root, 'engines', 'sm87-abc.engine'), workspaceMb: 512 } }
}

t.test('an engine is built once, with progress, at the lowest priority; a second start builds nothing', async t => {
  const { root, machine, order: what } = await order(t)
  const seen: BuildProgress[] = []
  t.equal(await buildEngine(machine, new ManualClock(), what, p => seen.push(p), signal), true)
  t.same([...new Set(seen.map(p => p.phase))], ['parsing', 'optimising', 'saving'])
  const call = JSON.parse(await readFile(what.engine, 'utf8'))
  t.match(call, { '--stronglyTyped': true, '--skipInference': true, '--memPoolSize': 'workspace:512M', '--timingCacheFile': join(root, 'engines/timing.cache') })
  t.equal(call.nice, 19)
  t.equal(await buildEngine(machine, new ManualClock(), what, () => t.fail('nothing to build'), signal), false)
})

t.test('the next build says how long the last one took', async t => {
  const { machine, order: what } = await order(t)
  await buildEngine(machine, new ManualClock(), what, () => {}, signal)
  const seen: BuildProgress[] = []
  await buildEngine(machine, new ManualClock(), { ...what, engine: what.engine.replace('abc', 'def') }, p => seen.push(p), signal)
  t.type(seen[0]?.expectedMs, 'number')
})

t.test('a build that fails leaves no half engine, keeps the old ones and says what trtexec said', async t => {
  const { root, machine, order: what } = await order(t, 'broken')
  await mkdir(join(root, 'engines'))
  await writeFile(join(root, 'engines', 'old.engine'), 'old')
  await t.rejects(buildEngine(machine, new ManualClock(), what, () => {}, signal), { code: 'engine-build', message: /Error parsing/ })
  t.same(await readdir(join(root, 'engines')), ['old.engine'])
})

t.test('a trtexec that succeeds without an engine is not believed', async t => {
  const { machine, order: what } = await order(t, 'silent')
  await t.rejects(buildEngine(machine, new ManualClock(), what, () => {}, signal), { code: 'engine-build' })
})

t.test('a build that is called off ends at once', async t => {
  const { machine, order: what } = await order(t, 'slow')
  const stop = new AbortController()
  await t.rejects(buildEngine(machine, new ManualClock(), what, () => stop.abort(), stop.signal))
})

t.test('a release without engines needs no preparation, and neither does a machine without TensorRT', async t => {
  const { root, machine } = await orin(t)
  await prepareEngines(join(root, 'release'), root, signal, () => {}, machine)
  await prepareEngines('/release', '/nowhere', signal, () => {}, new LocalMachine('/nowhere'))
})

t.test('what the updater does for engines fits the sandbox of its unit', async t => {
  const unit = await readFile(join(HERE, '../../systemd/parley-update.service'), 'utf8')
  t.match(unit, /^ProcSubset=all$/m, 'it sees /proc/device-tree')
  const { root, machine } = await orin(t)
  const program = join(root, 'release/app/dist/runtime/cli/main.js')
  await mkdir(dirname(program), { recursive: true })
  await writeFile(program, 'console.log(process.argv.slice(2).join(" "))')
  const lines: string[] = []
  await prepareEngines(join(root, 'release'), root, signal, ({ reason }) => lines.push(reason), machine)
  const cache = lines.at(-1)?.split('--cache ')[1]?.split(' ')[0] ?? ''
  const writable = [...unit.matchAll(/^ReadWritePaths=(.*)$/gm)].map(m => m[1] as string)
  t.ok(writable.some(path => cache.slice(root.length).startsWith(`${path}/`)), `${cache} is one of ${writable.join(' ')}`)
})

t.test('how far an engine is, is told as a part of the last build\'s time, and never as more than done', async t => {
  const { root, machine } = await orin(t)
  const program = join(root, 'release/app/dist/runtime/cli/main.js')
  await mkdir(dirname(program), { recursive: true })
  const lines = ['{"phase":"parsing","elapsedMs":0}', '{"phase":"optimising","elapsedMs":30000,"expectedMs":60000}', '{"phase":"saving","elapsedMs":90000,"expectedMs":60000}', 'free words']
  await writeFile(program, lines.map(line => `console.log(${JSON.stringify(line)})\n`).join(''))
  const told: EngineProgress[] = []
  await prepareEngines(join(root, 'release'), root, signal, progress => told.push(progress), machine)
  t.same(told, [{ reason: 'engine: parsing' }, { reason: 'engine: optimising', done: 30_000, of: 60_000 }, { reason: 'engine: saving', done: 59_400, of: 60_000 }, { reason: 'free words' }])
})

t.test('where nobody may set priorities an engine is built all the same', async t => {
  const { root, order: what } = await order(t)
  // As in the unit's system call filter: `ionice` is refused, and says so unless it is told to tolerate it.
  await writeFile(join(root, 'ionice'), '#!/bin/sh\n[ "$1" = -t ] || { echo "ionice: ioprio_set failed" >&2; exit 1; }\nshift 3; exec "$@"\n', { mode: 0o755 })
  const machine = new LocalMachine(root, { trtexec: TRTEXEC, ionice: [join(root, 'ionice')] })
  t.equal(await buildEngine(machine, new ManualClock(), what, () => {}, signal), true)
})

t.test('trtexec is found where JetPack puts it', async t => {
  const lines: string[] = []
  await new LocalMachine().run(['sh', '-c', 'echo "$PATH"'], line => lines.push(line), signal)
  t.match(lines[0], /:\/usr\/src\/tensorrt\/bin$/)
})

t.test('the engines of the releases before go with the release that needed them', async t => {
  const { root, machine } = await orin(t)
  const program = join(root, 'release/app/dist/runtime/cli/main.js')
  await mkdir(dirname(program), { recursive: true })
  await writeFile(program, `require('node:fs').writeFileSync('${root}/called', process.argv.slice(2).join(' '))`)
  await dropEngines(join(root, 'release'), root, signal, machine)
  t.equal(await readFile(join(root, 'called'), 'utf8'), `engines clear --bundle ${root}/release/bundle --cache ${root}/opt/parley/engines`)
  await writeFile(program, 'console.error("busy"); process.exitCode = 1')
  await t.rejects(dropEngines(join(root, 'release'), root, signal, machine), { code: 'engine-clear', message: /busy/ })
})

t.test('a release whose own program cannot build its engine is refused', async t => {
  const { root, machine } = await orin(t)
  const program = join(root, 'release/app/dist/runtime/cli/main.js')
  await mkdir(dirname(program), { recursive: true })
  await writeFile(program, 'console.error("no room"); process.exitCode = 1')
  await t.rejects(prepareEngines(join(root, 'release'), root, signal, () => {}, machine), { code: 'engine-build', message: /no room/ })
  await writeFile(program, 'process.exitCode = 2')
  await prepareEngines(join(root, 'release'), root, signal, () => {}, machine)
})
