import { createRequire } from 'node:module'
import { ParleyError } from '../../base/errors.js'
import type { Bundle } from '../../models/bundle/load.js'
import { openSession } from '../../models/engine/index.js'
import { onnxruntime, type Feeds, type GraphSession } from '../../models/ladder/index.js'
import { quantile, round } from '../conversation/statistics.js'

/** Bare and real steps take turns, so that another program's burst meets both. */
const BLOCKS = 10
const WARM_UP = 30

export interface StepBench {
  readonly steps: number
  readonly bareMs: { readonly p50: number | null; readonly p95: number | null; readonly p99: number | null }
  readonly stepMs: { readonly p50: number | null; readonly p95: number | null; readonly p99: number | null }
  /** With the way to the child and back. */
  readonly roundTripMs: { readonly p50: number | null; readonly p95: number | null; readonly p99: number | null }
  readonly ratio: number | null
  /** Of real time: a step's share of its tick. */
  readonly rtf: number | null
}

/** Steps of the model in its child, on one thread, against a bare `session.run` loop over the same graph. */
export async function benchSteps(bundle: Bundle, steps: number): Promise<StepBench> {
  const graph = Object.values(bundle.manifest.graphs).find(g => g.role === 'step')
  const file = graph?.files.cpu ?? graph?.files.any
  if (!file) throw new ParleyError('bundle-schedule', 'the bundle has no step graph for the CPU')
  const bare = await onnxruntime.create(bundle.path(file.path), 'cpu')
  await using session = await openSession(bundle, { providers: ['cpu'] })
  const feeds = zeros(bare)
  const audio = new Float32Array(session.tickSamples)
  const times = { bare: [] as number[], step: [] as number[], trip: [] as number[] }
  for (let i = 0; i < WARM_UP; i++) {
    await bare.run(feeds)
    await session.step({ at: i * 80, audio })
  }
  for (let block = 0; block < BLOCKS; block++) {
    for (let i = 0; i < steps / BLOCKS; i++) {
      const startedAt = performance.now()
      await bare.run(feeds)
      times.bare.push(performance.now() - startedAt)
    }
    for (let i = 0; i < steps / BLOCKS; i++) {
      const startedAt = performance.now()
      const said = await session.step({ at: i * 80, audio })
      times.trip.push(performance.now() - startedAt)
      times.step.push(said.stepMs)
    }
  }
  await bare.release()
  const of = (ms: readonly number[]): StepBench['stepMs'] => ({ p50: round(quantile(ms, 0.5)), p95: round(quantile(ms, 0.95)), p99: round(quantile(ms, 0.99)) })
  const [bareP50, stepP50] = [quantile(times.bare, 0.5) ?? NaN, quantile(times.step, 0.5) ?? NaN]
  return { steps, bareMs: of(times.bare), stepMs: of(times.step), roundTripMs: of(times.trip), ratio: round(stepP50 / bareP50), rtf: Math.round((stepP50 / ((session.tickSamples / session.inputRate) * 1_000)) * 10_000) / 10_000 }
}

const ARRAYS = { float32: Float32Array, int64: BigInt64Array, int32: Int32Array } as const

function zeros(graph: GraphSession): Feeds {
  const { Tensor } = createRequire(import.meta.url)('onnxruntime-common') as typeof import('onnxruntime-common')
  return Object.fromEntries(graph.inputs.map(({ name, type, shape }) => {
    const dims = shape.map(d => (typeof d === 'number' ? d : 1))
    const size = dims.reduce((a, b) => a * b, 1)
    const array = ARRAYS[type as keyof typeof ARRAYS]
    if (!array) throw new ParleyError('bundle-bad', `the input ${name} has the type ${type}, which the bench cannot fill`)
    return [name, new Tensor(type as 'float32', new array(size) as Float32Array, dims)]
  }))
}
