import { createRequire } from 'node:module'
import { join } from 'node:path'
import { cacheFolder } from '../../base/cache-folder.js'
import { openInProcess } from '../../models/engine/index.js'
import { loadBundle } from '../../models/bundle/index.js'
import { onnxruntime, type Backend, type Feeds, type GraphSession } from '../../models/ladder/index.js'
import type { TickKind } from './bare-loop.js'
import { goldenTicks } from './golden-ticks.js'

const { Tensor } = createRequire(import.meta.url)('onnxruntime-common') as typeof import('onnxruntime-common')

/** The process of BareLoop: told a kind of tick and how many runs, it answers with the ms of each. */
const { graph, feeds } = await realTicks(process.argv[2] ?? '')
process.on('disconnect', () => process.exit(0))
process.on('message', ({ kind, count }: { kind: TickKind; count: number }) => {
  void (async () => {
    const times: number[] = []
    for (let i = 0; i < count; i++) {
      const startedAt = performance.now()
      await graph.run(feeds[kind])
      times.push(performance.now() - startedAt)
    }
    process.send?.(times)
  })()
})
process.send?.([])

/** The graph, and all inputs of two ticks of its golden utterance: the first, and the last in which it speaks. */
async function realTicks(folder: string): Promise<{ graph: GraphSession; feeds: Record<TickKind, Feeds> }> {
  const bundle = await loadBundle(folder)
  let graph: GraphSession | undefined
  // Copied before each run: the engine writes the next tick's state into the same tensors.
  let latest: Feeds = {}
  const watched: Backend = {
    version: onnxruntime.version,
    need: provider => onnxruntime.need(provider),
    create: async (path, provider, options) => {
      const inner = graph = await onnxruntime.create(path, provider, options)
      return { inputs: inner.inputs, outputs: inner.outputs, run: feeds => { latest = copyOf(feeds); return inner.run(feeds) }, endProfiling: () => inner.endProfiling(), release: async () => {} }
    },
  }
  // The graph as it is kept, as the session beside it has it: both run the same nodes.
  const session = await openInProcess(bundle, { providers: ['cpu'], backend: watched, graphFolder: join(cacheFolder(), 'graphs') })
  const kept: { silent?: Feeds; spoken?: Feeds } = {}
  await session.setFacts(bundle.manifest.golden.facts)
  for await (const audio of goldenTicks(bundle, session)) {
    const said = await session.step({ at: 0, audio })
    const kind = said.speech ? 'spoken' : 'silent'
    if (kind === 'spoken' || !kept.silent) kept[kind] = latest
  }
  if (!graph) throw new Error('the graph was not loaded')
  return { graph, feeds: { silent: kept.silent ?? latest, spoken: kept.spoken ?? kept.silent ?? latest } }
}

function copyOf(feeds: Feeds): Feeds {
  return Object.fromEntries(Object.entries(feeds).map(([name, tensor]) => [name, new Tensor(tensor.type as 'float32', (tensor.data as Float32Array).slice(), tensor.dims)]))
}
