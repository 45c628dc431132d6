import { createRequire } from 'node:module'
import { ParleyError } from '../../base/errors.js'
import { onnxruntime, type Feeds, type GraphSession } from '../../models/ladder/index.js'

const { Tensor } = createRequire(import.meta.url)('onnxruntime-common') as typeof import('onnxruntime-common')
const ARRAYS = { float32: Float32Array, int64: BigInt64Array, int32: Int32Array } as const

/** The process of BareLoop: told how many runs, it answers with the ms of each. */
const graph = await onnxruntime.create(process.argv[2] ?? '', 'cpu')
const feeds = zeros(graph)
process.on('disconnect', () => process.exit(0))
process.on('message', (count: number) => {
  void (async () => {
    const times: number[] = []
    for (let i = 0; i < count; i++) {
      const startedAt = performance.now()
      await graph.run(feeds)
      times.push(performance.now() - startedAt)
    }
    process.send?.(times)
  })()
})
process.send?.([])

function zeros(session: GraphSession): Feeds {
  return Object.fromEntries(session.inputs.map(({ name, type, shape }) => {
    const dims = shape.map(d => (typeof d === 'number' ? d : 1))
    const size = dims.reduce((a, b) => a * b, 1)
    const array = ARRAYS[type as keyof typeof ARRAYS]
    if (!array) throw new ParleyError('bundle-bad', `the input ${name} has the type ${type}, which the bench cannot fill`)
    return [name, new Tensor(type as 'float32', new array(size) as Float32Array, dims)]
  }))
}
