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

for (const [release, l4t, cuda, tensorrt] of [['R38 (release), REVISION: 2.0', '38.2.0', '13.0.48', '10.13.3.9'], ['R39 (release), REVISION: 1.0', '39.1.0', '13.2.0', '10.16.0.1']] as const) {
  t.test(`Thor with JetPack 7 (${l4t}) is found`, async t => {
    const { machine } = await orin(t, {
      'proc/device-tree/compatible': 'nvidia,p3971-0089+p3834-0008\0nvidia,p3834-0008\0nvidia,tegra264\0', 'proc/device-tree/model': 'NVIDIA Jetson AGX Thor Developer Kit\0',
      'etc/nv_tegra_release': `# ${release}, GCID: 1, BOARD: generic, EABI: aarch64`, 'usr/local/cuda/version.json': `{"cuda": {"name": "CUDA SDK", "version": "${cuda}"}}`,
      'var/lib/dpkg/status': `Package: libnvinfer10\nStatus: install ok installed\nVersion: ${tensorrt}-1+cuda13.0\n`,
    })
    t.match(await detect(machine), { module: 'NVIDIA Jetson AGX Thor Developer Kit', chip: 'tegra264', computeCapability: '110', l4t, jetpack: 7, cuda, tensorrt, complaints: [] })
  })
}

t.test('a chip that is not known is named, and all else is told', async t => {
  const { machine } = await orin(t, { 'proc/device-tree/compatible': 'nvidia,p9999\0nvidia,tegra999\0' })
  t.match(await detect(machine), { chip: 'tegra999', computeCapability: '', jetpack: 6, tensorrt: '10.3.0.30', complaints: ['the chip tegra999 is not known'] })
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

t.test('a power mode of few watts leaves less from the start, and heat takes from that', async t => {
  const conf = '< POWER_MODEL ID=0 NAME=15W >\n< POWER_MODEL ID=1 NAME=25W >\n< POWER_MODEL ID=2 NAME=MAXN_SUPER >\n< POWER_MODEL ID=3 NAME=MODE_7W >\n'
  const inMode = async (id: number, more: Record<string, string> = {}): Promise<ReturnType<typeof budget>> => budget(await readThermal((await orin(t, { 'etc/nvpmodel.conf': conf, 'var/lib/nvpmodel/status': `pmode:000${id}`, ...more })).machine))
  t.same(await inMode(1), { stepMs: 60, images: true, doze: false })
  t.same(await inMode(2), { stepMs: 60, images: true, doze: false }, 'a mode without watts has no limit')
  t.match(await inMode(0), { stepMs: 50, images: true, doze: false, by: 'mode', reason: /50 ms/ })
  t.match(await inMode(3), { stepMs: 45, images: true, doze: true, by: 'mode', reason: /dozes in silence/ })
  t.match(await inMode(3, { 'sys/class/thermal/thermal_zone0/temp': '95000' }), { stepMs: 45, images: false, doze: true, by: 'heat', reason: /95 °C/ })
  t.match(await inMode(3, { 'sys/class/thermal/cooling_device1/cur_state': '2' }), { stepMs: 40, images: false, by: 'heat' })
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
  t.same(seen.map(p => p.phase).filter((phase, i, all) => phase !== all[i - 1]), ['parsing', 'optimising', 'saving'], 'and never back')
  const call = JSON.parse(await readFile(what.engine, 'utf8'))
  t.match(call, { '--stronglyTyped': true, '--skipInference': true, '--memPoolSize': 'workspace:512M', '--timingCacheFile': join(root, 'engines/timing.cache') })
  t.same([call.nice, call.ionice], [19, 'idle'], 'last for the processor and for the disk')
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
  const lines = ['{"phase":"parsing","elapsedMs":0}', '{"phase":"optimising","elapsedMs":30000,"expectedMs":60000}', '{"phase":"saving","elapsedMs":90000,"expectedMs":60000}', '{"result":"built"}', 'free words']
  await writeFile(program, lines.map(line => `console.log(${JSON.stringify(line)})\n`).join(''))
  const told: EngineProgress[] = []
  await prepareEngines(join(root, 'release'), root, signal, progress => told.push(progress), machine)
  t.same(told, [{ reason: 'engine: parsing' }, { reason: 'engine: optimising', done: 30_000, of: 60_000 }, { reason: 'engine: saving', done: 59_400, of: 60_000 }, { reason: 'engine: built' }, { reason: 'free words' }])
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
