import t from 'tap'
import { openInProcess } from '../../models/engine/index.js'
import { climb, onnxruntime, parseProfile, placement, type Backend, type GraphSession, type Provider } from '../../models/ladder/index.js'
import { tick, tinyBundle } from './tiny-bundle.js'

const bundle = await tinyBundle()
t.teardown(() => bundle[Symbol.asyncDispose]())

type Fault = 'load' | 'run' | 'shape' | undefined

/** A machine with GPUs, played by the CPU: each provider works, or fails where it is told to. */
function machine(faults: Partial<Record<Provider, Fault>>): Backend & { released: Provider[]; tried: Provider[] } {
  const released: Provider[] = []
  const tried: Provider[] = []
  return {
    version: 'test',
    released,
    tried,
    async create(path, provider) {
      tried.push(provider)
      const fault = faults[provider]
      if (fault === 'load') throw new Error(`${provider} library not found`)
      const real = await onnxruntime.create(path, 'cpu')
      const session: GraphSession = {
        inputs: fault === 'shape' ? real.inputs.slice(1) : real.inputs,
        outputs: real.outputs,
        run: feeds => (fault === 'run' ? Promise.reject(new Error(`${provider} out of memory`)) : real.run(feeds)),
        endProfiling: () => {},
        release: async () => { released.push(provider); await real.release() },
      }
      return session
    },
  }
}

const open = (backend: Backend) => openInProcess(bundle.folder, { backend, cacheFolder: bundle.folder })

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

t.test('a graph that does not fit the manifest is refused on that provider alone', async t => {
  await using session = await open(machine({ tensorrt: 'shape', cuda: 'load' }))
  t.equal(session.provider, 'cpu')
  t.match(session.host.refusals[0]?.reason, /has no input audio/)
})

t.test('when no provider can, the error holds every reason', async t => {
  await t.rejects(open(machine({ tensorrt: 'load', cuda: 'run', cpu: 'load' })), { code: 'no-provider', message: /tensorrt: tensorrt library.*cuda: cuda out of memory.*cpu: cpu library/ })
  await t.rejects(climb([], async () => 1), { code: 'no-provider', message: /no graph for the providers/ })
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

t.test('nodes that fell to another provider are named', async t => {
  const event = (name: string, provider: string) => ({ cat: 'Node', name: `${name}_kernel_time`, args: { provider, op_name: 'MatMul' } })
  const profile = JSON.stringify([event('a', 'TensorrtExecutionProvider'), event('b', 'CPUExecutionProvider'), { cat: 'Session', name: 'model_run' }])
  t.same(parseProfile(profile, 'tensorrt'), { nodes: { TensorrtExecutionProvider: 1, CPUExecutionProvider: 1 }, strays: ['b (MatMul)'] })
})
