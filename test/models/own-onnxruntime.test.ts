import { spawnSync } from 'node:child_process'
import { constants, copyFileSync, existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { createRequire } from 'node:module'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import t from 'tap'
import { openSession, runGolden, type EngineSession, type OpenOptions } from '../../models/engine/index.js'
import { loadBundle } from '../../models/bundle/index.js'
import { ortBackend } from '../../models/ladder/index.js'
import { engineOptions, ownOnnxruntime } from '../../runtime/compose/engine-options.js'
import { configSchema } from '../../runtime/config/schema.js'
import { tick, tinyBundle } from './tiny-bundle.js'

t.setTimeout(120_000)
const SHIPPED = join(dirname(createRequire(import.meta.url).resolve('onnxruntime-node/package.json')), 'bin/napi-v6', process.platform, process.arch)
const BINDING = 'onnxruntime_binding.node'
const bundle = await tinyBundle()
const folder = mkdtempSync(join(tmpdir(), 'parley-own-ort-'))
t.teardown(async () => {
  await bundle[Symbol.asyncDispose]()
  rmSync(folder, { recursive: true, force: true })
})

/** The package's own library at another place, as a build of the owner's would stand there; `broken`: files that are not what they should be. */
function own(name: string, broken: Readonly<Record<string, Buffer | string>> = {}): string {
  const at = join(folder, name)
  mkdirSync(at)
  for (const file of [BINDING, 'libonnxruntime.so.1']) copyFileSync(join(SHIPPED, file), join(at, file), constants.COPYFILE_FICLONE)
  for (const [file, bytes] of Object.entries(broken)) writeFileSync(join(at, file), bytes)
  return at
}

const open = (onnxruntime: string, options: OpenOptions = {}): Promise<EngineSession> => openSession(bundle.folder, { cacheFolder: bundle.folder, onnxruntime, ...options })
/** Which library the model's process has really loaded. */
const loaded = (session: EngineSession): string[] => [...new Set([...readFileSync(`/proc/${session.pid}/maps`, 'utf8').matchAll(/\/\S*libonnxruntime\.so\S*/g)].map(m => m[0]))]

t.test('the library that is named runs the model, and no other is loaded beside it', async t => {
  const at = own('good')
  await using session = await open(at)
  t.equal(session.provider, 'cpu')
  t.same(loaded(session), [join(at, 'libonnxruntime.so.1')])
  t.equal((await runGolden(session, await loadBundle(bundle.folder))).passed, true)
  t.match(session.refusals, [{ provider: 'tensorrt', reason: new RegExp(`libonnxruntime_providers_tensorrt.so is not in ${at}.*--use_tensorrt`) }, { provider: 'cuda' }])
})

t.test('without one the package\'s is loaded', async t => {
  await using session = await openSession(bundle.folder, { cacheFolder: bundle.folder })
  t.same(loaded(session), [join(SHIPPED, 'libonnxruntime.so.1')])
})

t.test('a provider\'s library that is there and is none is refused by the run, not taken by its name', async t => {
  const at = own('named-only', { 'libonnxruntime_providers_tensorrt.so': 'not a library', 'libonnxruntime_providers_cuda.so': 'not one either', 'libonnxruntime_providers_shared.so': 'not one either' })
  // Anything stands for the engine: it is the library that must be refused.
  await using session = await open(at, { tensorrtWrapper: join(bundle.folder, 'step.onnx') })
  t.equal(session.provider, 'cpu')
  t.match(session.refusals.map(r => r.provider), ['tensorrt', 'cuda'])
  for (const { reason } of session.refusals) t.notMatch(reason, /is not in|no engine/)
})

for (const [name, broken] of [['torn', { 'libonnxruntime.so.1': 'torn' }], ['of another machine', { [BINDING]: Buffer.from('\x7fELF\x01\x01\x01') }]] as const) {
  t.test(`a library that is ${name} leaves the device talking on the shipped one, and says why`, async t => {
    const at = own(name.replaceAll(' ', '-'), broken)
    await using session = await open(at)
    t.equal(session.provider, 'cpu')
    t.same(loaded(session), [join(SHIPPED, 'libonnxruntime.so.1')])
    t.match(session.refusals[0], { provider: 'cpu', reason: new RegExp(`^${at}: .*cannot be loaded`) })
    t.equal((await session.step(tick(0))).at, 0)
  })
}

t.test('a folder without the library leaves the device talking, and names the file', async t => {
  await using session = await open('/nowhere')
  t.match(session.refusals[0]?.reason, /\/nowhere\/onnxruntime_binding\.node is missing/)
})

const headers = ['/usr', dirname(dirname(process.execPath))].map(p => join(p, 'include/node')).find(p => existsSync(join(p, 'node_api.h')))
const noCompiler = spawnSync('cc', ['--version']).status === 0 && headers ? false : 'cc or Node\'s headers are missing'

t.test('a library that takes its process down leaves the device talking on the shipped one', { skip: noCompiler }, async t => {
  const at = own('deadly')
  writeFileSync(join(folder, 'deadly.c'), '#include <stdlib.h>\n__attribute__((constructor)) static void die(void) { abort(); }\n')
  t.equal(spawnSync('cc', ['-shared', '-fPIC', join(folder, 'deadly.c'), '-o', join(at, BINDING)]).status, 0)
  await using session = await open(at)
  t.same(loaded(session), [join(SHIPPED, 'libonnxruntime.so.1')])
  t.match(session.refusals[0]?.reason, /SIGABRT/)
})

t.test('an engine is tied to the build of the library that loads it', async t => {
  const at = own('rebuilt')
  const before = ortBackend(at).version
  t.match(before, /^own-\d+-\d+$/)
  t.not(before, ortBackend().version)
  writeFileSync(join(at, 'libonnxruntime.so.1'), 'another build')
  t.not(ortBackend(at).version, before)
})

t.test('the configuration names it, the environment goes before, and neither takes a relative path', async t => {
  const config = configSchema.parse({ bundle: { onnxruntime: '/opt/onnxruntime' } })
  t.equal(ownOnnxruntime(config, {}), '/opt/onnxruntime')
  t.equal(ownOnnxruntime(config, { PARLEY_ONNXRUNTIME: '/opt/other' }), '/opt/other')
  t.throws(() => ownOnnxruntime(config, { PARLEY_ONNXRUNTIME: 'other' }), { code: 'bad-config', message: /PARLEY_ONNXRUNTIME = other: expected an absolute path/ })
  t.throws(() => configSchema.parse({ bundle: { onnxruntime: 'lib' } }), /an absolute path of a folder/)
  t.match(await engineOptions(config, bundle.folder), { onnxruntime: '/opt/onnxruntime', providers: ['tensorrt', 'cuda', 'cpu'] })
})
