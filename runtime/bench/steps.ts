import { ParleyError } from '../../base/errors.js'
import type { Bundle } from '../../models/bundle/load.js'
import { openSession } from '../../models/engine/index.js'
import { quantile, round } from '../conversation/statistics.js'
import { BareLoop } from './bare-loop.js'

/** Bare and real steps take turns this often, so that another program's burst meets both: 20 steps are 0.1 s. */
const BLOCK = 20
/** The first of each block fetches its weights from memory again, the other process having run since: not counted, in both. */
const COLD = 2

export interface StepBench {
  readonly steps: number
  readonly bareMs: { readonly p50: number | null; readonly p95: number | null; readonly p99: number | null }
  readonly stepMs: { readonly p50: number | null; readonly p95: number | null; readonly p99: number | null }
  /** With the way to the child and back. */
  readonly roundTripMs: { readonly p50: number | null; readonly p95: number | null; readonly p99: number | null }
  /** Step against bare: the median of each pair of blocks that ran one after the other. */
  readonly ratio: number | null
  /** Of real time: a step's share of its tick. */
  readonly rtf: number | null
}

/** Steps of the model in its child, on one thread, against a bare `session.run` loop over the same graph in another such process. */
export async function benchSteps(bundle: Bundle, steps: number): Promise<StepBench> {
  const graph = Object.values(bundle.manifest.graphs).find(g => g.role === 'step')
  const file = graph?.files.cpu ?? graph?.files.any
  if (!file) throw new ParleyError('bundle-schedule', 'the bundle has no step graph for the CPU')
  await using bare = await BareLoop.open(bundle.path(file.path))
  await using session = await openSession(bundle, { providers: ['cpu'], keepFacts: false, selfTest: 'never' })
  const audio = new Float32Array(session.tickSamples)
  const times = { bare: [] as number[], step: [] as number[], trip: [] as number[] }
  const ratios: number[] = []
  let at = 0
  for (let block = -1; block < steps / BLOCK; block++) { // one block to warm up
    const alone = (await bare.run(BLOCK + COLD)).slice(COLD)
    const [inChild, trip]: [number[], number[]] = [[], []]
    for (let i = 0; i < BLOCK + COLD; i++, at += 80) {
      const startedAt = performance.now()
      const said = await session.step({ at, audio })
      if (i < COLD) continue
      trip.push(performance.now() - startedAt)
      inChild.push(said.stepMs)
    }
    if (block < 0) continue
    times.bare.push(...alone)
    times.step.push(...inChild)
    times.trip.push(...trip)
    ratios.push((quantile(inChild, 0.5) ?? NaN) / (quantile(alone, 0.5) ?? NaN))
  }
  const of = (ms: readonly number[]): StepBench['stepMs'] => ({ p50: round(quantile(ms, 0.5)), p95: round(quantile(ms, 0.95)), p99: round(quantile(ms, 0.99)) })
  const tickMs = (session.tickSamples / session.inputRate) * 1_000
  return { steps: times.step.length, bareMs: of(times.bare), stepMs: of(times.step), roundTripMs: of(times.trip), ratio: round(quantile(ratios, 0.5)), rtf: Math.round(((quantile(times.step, 0.5) ?? NaN) / tickMs) * 10_000) / 10_000 }
}
