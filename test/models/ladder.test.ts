import { readFileSync, readdirSync, writeFileSync } from 'node:fs'
import { readdir } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import t from 'tap'
import { loadBundle } from '../../models/bundle/index.js'
import { goldenSound, openInProcess } from '../../models/engine/index.js'
import { PROVIDERS, climb, onnxruntime, parseProfile, placement, type Backend, type GraphSession, type Provider } from '../../models/ladder/index.js'
import { sessionOptions } from '../../models/ladder/onnxruntime.js'
import { configSchema } from '../../runtime/config/schema.js'
import { placements, strayFindings } from '../../runtime/doctor/model-checks.js'
import { tick, tinyBundle } from './tiny-bundle.js'

const bundle = await tinyBundle()
t.teardown(() => bundle[Symbol.asyncDispose]())

type Fault = 'load' | 'run' | 'shape' | 'on-cpu' | 'unproven' | undefined

const NAMES = { tensorrt: 'TensorrtExecutionProvider', cuda: 'CUDAExecutionProvider', cpu: 'CPUExecutionProvider' }

/** What a GPU's profile would say, made of the CPU's. */
function playGpu(profile: string, provider: Provider): void {
  for (const name of readdirSync(dirname(profile))) {
    const file = join(dirname(profile), name)
    writeFileSync(file, readFileSync(file, 'utf8').replaceAll(NAMES.cpu, NAMES[provider]))
  }
}

/**
 * A machine with GPUs, played by the CPU: each provider works, or fails where it is told to. `on-cpu`: it takes the graph and runs
 * nothing of it; `unproven`: it leaves no profile.
 */
function machine(faults: Partial<Record<Provider, Fault>>): Backend & { released: Provider[]; tried: Provider[] } {
  const released: Provider[] = []
  const tried: Provider[] = []
  return {
    version: 'test',
    released,
    tried,
    need: () => {},
    async create(path, provider, options = {}) {
      tried.push(provider)
      const fault = faults[provider]
      if (fault === 'load') throw new Error(`${provider} library not found`)
      const { profile } = options
      const real = await onnxruntime.create(path, 'cpu', profile === undefined || fault === 'unproven' ? {} : { profile })
      const session: GraphSession = {
        inputs: fault === 'shape' ? real.inputs.slice(1) : real.inputs,
        outputs: real.outputs,
        run: feeds => (fault === 'run' ? Promise.reject(new Error(`${provider} out of memory`)) : real.run(feeds)),
        endProfiling: () => {
          if (profile === undefined || fault === 'unproven') return
          real.endProfiling()
          if (fault !== 'on-cpu') playGpu(profile, provider)
        },
        release: async () => { released.push(provider); await real.release() },
      }
      return session
    },
  }
}

/** The graph itself stands for its engine. */
const open = (backend: Backend, more: { tensorrtWrapper?: string } = { tensorrtWrapper: join(bundle.folder, 'step.onnx') }) => openInProcess(bundle.folder, { backend, cacheFolder: bundle.folder, ...more })

t.test('the first provider that runs is taken', async t => {
  const backend = machine({})
  await using session = await open(backend)
  t.equal(session.provider, 'tensorrt')
  t.same(backend.tried, ['tensorrt'])
  t.same(session.host.refusals, [])
})

t.test('a provider that cannot load is refused with its reason, and the next is tried', async t => {
  await using session = await open(machine({ tensorrt: 'load' }))
  t.equal(session.provider, 'cuda')
  t.same(session.host.refusals, [{ provider: 'tensorrt', reason: 'tensorrt library not found' }])
})

t.test('a provider that loads and cannot run is refused too, and gives its memory back', async t => {
  const backend = machine({ tensorrt: 'load', cuda: 'run' })
  await using session = await open(backend)
  t.equal(session.provider, 'cpu')
  t.same(session.host.refusals.map(r => r.reason), ['tensorrt library not found', 'cuda out of memory'])
  t.same(backend.released, ['cuda'])
  t.equal((await session.step(tick(0))).at, 0)
})

t.test('TensorRT without a ready engine is refused, not left to build one at each start, and CUDA is tried', async t => {
  const backend = machine({})
  await using session = await open(backend, {})
  t.equal(session.provider, 'cuda')
  t.same(backend.tried, ['cuda'], 'no graph is given to TensorRT')
  t.match(session.host.refusals, [{ provider: 'tensorrt', reason: /no engine is built yet.*sudo parley engines build/ }])
})

t.test('a GPU that leaves every node to the CPU is refused by the profile of its first run, whatever the session is called', async t => {
  const backend = machine({ tensorrt: 'on-cpu', cuda: 'unproven' })
  await using session = await open(backend)
  t.equal(session.provider, 'cpu')
  t.match(session.host.refusals, [{ provider: 'tensorrt', reason: /none of its nodes ran on TensorrtExecutionProvider: \d+ on CPUExecutionProvider/ }, { provider: 'cuda', reason: /no profile/ }])
  t.same(backend.released, ['tensorrt', 'cuda'])
})

t.test('a proven session goes on without the profiler, and its profile is gone', async t => {
  const left = async (): Promise<string[]> => (await Promise.all(['/dev/shm', tmpdir()].map(folder => readdir(folder).catch(() => [])))).flat().filter(name => name.startsWith('parley-profile-'))
  const before = await left()
  await using session = await open(machine({}))
  for (let i = 0; i < 5; i++) t.equal((await session.step(tick(i * 80))).at, i * 80)
  t.same((await left()).filter(name => !before.includes(name)), [])
})

t.test('a graph that does not fit the manifest is refused on that provider alone', async t => {
  await using session = await open(machine({ tensorrt: 'shape', cuda: 'load' }))
  t.equal(session.provider, 'cpu')
  t.match(session.host.refusals[0]?.reason, /has no input audio/)
})

t.test('when no provider can, the error holds every reason', async t => {
  await t.rejects(open(machine({ tensorrt: 'load', cuda: 'run', cpu: 'load' })), { code: 'no-provider', message: /tensorrt: tensorrt library.*cuda: cuda out of memory.*cpu: cpu library/ })
  await t.rejects(climb([], async () => 1), { code: 'no-provider', message: /no graph for the providers/ })
})

t.test('a tick is one run of the graph, silent or spoken', async t => {
  let runs = 0
  const counting: Backend = {
    ...machine({}),
    create: async (...of) => {
      const real = await onnxruntime.create(...of)
      return { inputs: real.inputs, outputs: real.outputs, run: feeds => { runs++; return real.run(feeds) }, endProfiling: () => real.endProfiling(), release: () => real.release() }
    },
  }
  await using session = await openInProcess(bundle.folder, { backend: counting, cacheFolder: bundle.folder, providers: ['cpu'] })
  const question = await goldenSound(await loadBundle(bundle.folder), session.inputRate)
  let spoken = 0
  for (let n = 0; n < 40; n++) {
    const before = runs
    const audio = new Float32Array(session.tickSamples)
    audio.set(question.subarray(n * session.tickSamples, (n + 1) * session.tickSamples))
    if ((await session.step({ at: n * 80, audio })).speech) spoken++
    t.equal(runs - before, 1)
  }
  t.ok(spoken > 0 && spoken < 40, `${spoken} of 40 were spoken`)
})

t.test('every provider is told to multiply signed by signed exactly, where the processor would saturate', t => {
  for (const provider of PROVIDERS) t.match(sessionOptions(provider).extra, { session: { x64quantprecision: '1' } })
  t.end()
})

t.test('this package has no GPU libraries, and says so', async t => {
  await t.rejects(onnxruntime.create('/nowhere.onnx', 'tensorrt'), { code: 'provider-missing', message: /libonnxruntime_providers_tensorrt.so is not in/ })
})

t.test('placement proves by the profiler where the nodes ran', async t => {
  const found = await placement(`${bundle.folder}/step.onnx`, 'cpu')
  t.same(Object.keys(found.nodes), ['CPUExecutionProvider'])
  t.ok((found.nodes['CPUExecutionProvider'] ?? 0) > 50)
  t.same(found.strays, [])
})

t.test('what copies between memories is no work of a provider', t => {
  const event = (name: string, provider: string, op: string) => ({ cat: 'Node', name: `${name}_kernel_time`, args: { provider, op_name: op } })
  const profile = JSON.stringify([event('a', 'CPUExecutionProvider', 'MatMul'), event('b', 'CUDAExecutionProvider', 'MemcpyToHost')])
  t.same(parseProfile(profile, 'cuda'), { nodes: { CPUExecutionProvider: 1 }, strays: ['a (MatMul)'] })
  t.end()
})

t.test('doctor makes a failure of a node that a GPU left to another, and none of a rung that is refused', async t => {
  const config = configSchema.parse({})
  const placed = await placements(config, bundle.folder, machine({ cuda: 'on-cpu' }))
  t.match(placed, [{ provider: 'tensorrt', nodes: /^refused: no engine is built for it/, strays: [] }, { provider: 'cuda', nodes: /^CPUExecutionProvider \d+$/ }, { provider: 'cpu', strays: [] }])
  t.match(strayFindings(placed), [{ state: 'fail', what: 'placement', seen: /^step on cuda: \d+ nodes ran elsewhere, / }])
  t.equal(strayFindings(placed).length, 1)
  t.same(strayFindings(await placements(config, bundle.folder, machine({}))), [], 'all of them ran where they were asked to')
})

t.test('nodes that fell to another provider are named', async t => {
  const event = (name: string, provider: string) => ({ cat: 'Node', name: `${name}_kernel_time`, args: { provider, op_name: 'MatMul' } })
  const profile = JSON.stringify([event('a', 'TensorrtExecutionProvider'), event('b', 'CPUExecutionProvider'), { cat: 'Session', name: 'model_run' }])
  t.same(parseProfile(profile, 'tensorrt'), { nodes: { TensorrtExecutionProvider: 1, CPUExecutionProvider: 1 }, strays: ['b (MatMul)'] })
})
