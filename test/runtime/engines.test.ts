import { execFile } from 'node:child_process'
import { cp, mkdir, mkdtemp, readFile, readdir, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import t, { type Test } from 'tap'
import { systemClock } from '../../base/clock.js'
import { LocalMachine } from '../../deploy/jetson/machine.js'
import type { Manifest } from '../../models/bundle/index.js'
import { Engines } from '../../runtime/compose/engines.js'
import { tinyBundle } from '../models/tiny-bundle.js'

const RECORDED = new URL('../../../test/deploy/', import.meta.url).pathname
const MAIN = fileURLToPath(new URL('../../runtime/cli/main.js', import.meta.url))
const { signal } = new AbortController()

/** As the bundle that ships: a graph for the CPU alone. */
function cpuOnly(manifest: Manifest): void {
  const step = manifest.graphs['step'] as { files: Manifest['graphs'][string]['files'] }
  const { any } = step.files
  step.files = any ? { cpu: any } : {}
}

async function orin(t: Test): Promise<string> {
  const root = await mkdtemp(join(tmpdir(), 'parley-engines-'))
  t.teardown(() => rm(root, { recursive: true, force: true }))
  await cp(join(RECORDED, 'orin-nano'), root, { recursive: true })
  return root
}

/** `parley engines` on the recorded Orin, whose trtexec is on the PATH. */
async function parley(root: string, ...args: string[]): Promise<{ code: number; out: string }> {
  const bin = join(root, 'bin')
  await mkdir(bin, { recursive: true })
  await writeFile(join(bin, 'trtexec'), `#!/bin/sh\nexec "${process.execPath}" "${join(RECORDED, 'trtexec.mjs')}" "$@"\n`, { mode: 0o755 })
  return new Promise(resolve => {
    execFile(process.execPath, [MAIN, 'engines', ...args], { cwd: root, env: { ...process.env, PARLEY_ROOT: root, PATH: `${bin}:${process.env['PATH'] ?? ''}` }, timeout: 60_000 }, (error, out, err) => resolve({ code: typeof error?.code === 'number' ? error.code : error ? 1 : 0, out: out + err }))
  })
}

t.test('an engine is built once for a bundle, found at the next start, and goes when nothing uses it', async t => {
  const root = await mkdtemp(join(tmpdir(), 'parley-engines-'))
  t.teardown(() => rm(root, { recursive: true, force: true }))
  await cp(join(RECORDED, 'orin-nano'), root, { recursive: true })
  await using bundle = await tinyBundle()
  const cache = join(root, 'engines')
  const engines = new Engines(cache, new LocalMachine(root, { trtexec: [process.execPath, join(RECORDED, 'trtexec.mjs')] }))
  t.equal(await engines.ready(bundle.folder), undefined, 'nothing is built')
  const phases: string[] = []
  t.equal(await engines.build(bundle.folder, systemClock, p => phases.push(p.phase), signal), 'built')
  t.ok(phases.includes('parsing') && phases.includes('saving'))
  const wrapper = await engines.ready(bundle.folder)
  t.match(wrapper, /sm87-trt10\.3\.0\.30-[0-9a-f]{24}\.onnx$/)
  t.match((await readFile(wrapper!)).toString('latin1'), /EPContext/)
  t.equal(await engines.build(bundle.folder, systemClock, () => {}, signal), 'there', 'the second time nothing is built')
  t.match(await engines.list(bundle.folder), [{ used: true }])

  await t.test('another version of TensorRT finds none', async t => {
    const status = join(root, 'var/lib/dpkg/status')
    const text = await readFile(status, 'utf8')
    await writeFile(status, text.replaceAll('10.3.0.30', '10.16.0.1'))
    t.equal(await engines.ready(bundle.folder), undefined)
    await writeFile(status, text)
  })
  t.same(await engines.clear([bundle.folder]), [], 'what is used stays')
  t.equal((await engines.clear([])).length, 1)
  t.notOk((await readdir(cache)).some(n => n.endsWith('.engine')))
  t.equal(await engines.ready(bundle.folder), undefined)
})

t.test('a machine without TensorRT has nothing to build', async t => {
  await using bundle = await tinyBundle()
  const engines = new Engines('/nowhere', new LocalMachine('/nowhere'))
  t.equal(await engines.build(bundle.folder, systemClock, () => {}, signal), 'no-tensorrt')
  t.equal(await engines.ready(bundle.folder), undefined)
  t.same(await engines.list(bundle.folder), [])
})

t.test('the command builds, lists and keeps the engines of the device below PARLEY_ROOT', { timeout: 120_000 }, async t => {
  const root = await orin(t)
  await using bundle = await tinyBundle()
  const first = await parley(root, 'build', '--bundle', bundle.folder)
  t.equal(first.code, 0, first.out)
  t.match(first.out, /^parsing, 0 s\noptimising, .*\nsaving, .*\nthe engine is built\n$/)
  const [engine] = (await readdir(join(root, 'opt/parley/engines'))).filter(n => n.endsWith('.engine'))
  t.match(engine, /^sm87-trt10\.3\.0\.30-/)
  t.match(JSON.parse(await readFile(join(root, 'opt/parley/engines', engine!), 'utf8')), { '--onnx': join(bundle.folder, 'step.onnx'), '--memPoolSize': 'workspace:1024M', nice: 19 })
  t.match((await parley(root, 'build', '--bundle', bundle.folder)).out, /^the engine is there already\n$/)
  t.match((await parley(root, 'list', '--bundle', bundle.folder)).out, new RegExp(`${engine}.* yes`))
})

t.test('a bundle without a graph for TensorRT is told as that, not as a device without TensorRT', { timeout: 120_000 }, async t => {
  const root = await orin(t)
  await using bundle = await tinyBundle(cpuOnly)
  t.match(await parley(root, 'build', '--bundle', bundle.folder), { code: 0, out: 'this bundle has no graph for TensorRT: nothing to build\n' })
  t.match((await parley(root, 'list', '--bundle', bundle.folder)).out, /^no engine in .*: this bundle has no graph for TensorRT\n$/)
  await writeFile(join(root, 'var/lib/dpkg/status'), '')
  t.match((await parley(root, 'build', '--bundle', bundle.folder)).out, /^there is no TensorRT here: nothing to build\n$/)
})

t.test('a chip that nobody knows has no engine built for it', async t => {
  const root = await orin(t)
  await writeFile(join(root, 'proc/device-tree/compatible'), 'nvidia,tegra999\0')
  await using bundle = await tinyBundle()
  const engines = new Engines(join(root, 'engines'), new LocalMachine(root, { trtexec: ['false'] }))
  t.equal(await engines.build(bundle.folder, systemClock, () => t.fail('nothing is built'), signal), 'unknown-chip')
})

t.test('what an update clears is not the engine of the bundle that was chosen from afar', { timeout: 120_000 }, async t => {
  const root = await orin(t)
  const change = (name: string) => (manifest: Manifest): void => { const step = manifest.graphs['step'] as { files: { any?: { path: string; precision: string } } }; step.files.any = { path: 'step.onnx', precision: name } }
  await using release = await tinyBundle(change('fp32'))
  await using chosen = await tinyBundle(change('fp16'))
  await using old = await tinyBundle(change('int8-s8s8'))
  const telemetry = join(root, 'telemetry')
  const bundles = join(root, 'bundles')
  await cp(chosen.folder, join(bundles, 'other'), { recursive: true })
  await mkdir(telemetry)
  await writeFile(join(telemetry, 'bundle.json'), JSON.stringify({ name: 'other', is: 'runs' }))
  const config = join(root, 'parley.toml')
  await writeFile(config, `[bundle]\nfolder = "${bundles}"\n[telemetry]\nsite = "lab"\ndevice = "r1"\nfolder = "${telemetry}"\nbroker = { url = "mqtt://127.0.0.1:1" }\n`)
  for (const folder of [release.folder, join(bundles, 'other'), old.folder]) t.equal((await parley(root, 'build', '--bundle', folder)).code, 0)
  const engines = async (): Promise<number> => (await readdir(join(root, 'opt/parley/engines'))).filter(n => n.endsWith('.engine')).length
  t.equal(await engines(), 3)
  t.match(await parley(root, 'clear', '--bundle', release.folder, '--config', config), { code: 0, out: /^removed [^\n]*\n$/ })
  t.equal(await engines(), 2)
  t.match((await parley(root, 'build', '--bundle', join(bundles, 'other'))).out, /there already/)
  t.match((await parley(root, 'build', '--bundle', old.folder)).out, /is built/)
})
