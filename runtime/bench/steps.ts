import type { Bundle } from '../../models/bundle/load.js'
import { openSession } from '../../models/engine/index.js'
import { quantile, round } from '../conversation/statistics.js'
import { BareLoop, type TickKind } from './bare-loop.js'
import { goldenTicks } from './golden-ticks.js'

/** The first of each block fetches its weights from memory again, the other process having run since: not counted, in both. */
const COLD = 2
/** Rounds without one spoken tick, after which none is waited for. */
const MUTE_ROUNDS = 3

export interface Quantiles {
  readonly p50: number | null
  readonly p95: number | null
  readonly p99: number | null
}

export interface TickBench {
  readonly steps: number
  readonly bareMs: Quantiles
  readonly stepMs: Quantiles
  /** With the way to the child and back. */
  readonly roundTripMs: Quantiles
  /** Step against bare: the median of the rounds. */
  readonly ratio: number | null
  /** Of real time: a step's share of its tick. */
  readonly rtf: number | null
}

/** Ticks in which it says nothing, and ticks in which it speaks: `spoken` is null for a bundle that does not answer its golden utterance. */
export interface StepBench {
  readonly silent: TickBench
  readonly spoken: TickBench | null
}

interface Times {
  readonly bare: number[]
  readonly step: number[]
  readonly trip: number[]
  readonly ratios: number[]
}

/**
 * Steps of the model in its child, on one thread, as it hears and answers its golden utterance, at least `steps` of each kind; against a bare
 * `session.run` loop over the same graph in another such process, with the inputs of such a tick. The two take turns after each
 * utterance, so that another program's burst meets both.
 */
export async function benchSteps(bundle: Bundle, steps: number): Promise<StepBench> {
  await using bare = await BareLoop.open(bundle.folder)
  await using session = await openSession(bundle, { providers: ['cpu'], keepFacts: false, selfTest: 'never' })
  await session.setFacts(bundle.manifest.golden.facts)
  const all: Record<TickKind, Times> = { silent: { bare: [], step: [], trip: [], ratios: [] }, spoken: { bare: [], step: [], trip: [], ratios: [] } }
  let at = 0
  for (let round = -1; all.silent.step.length < steps || (all.spoken.step.length < steps && (round < MUTE_ROUNDS || all.spoken.step.length > 0)); round++) { // one to warm up
    const now: Record<TickKind, { step: number[]; trip: number[] }> = { silent: { step: [], trip: [] }, spoken: { step: [], trip: [] } }
    let count = 0
    for await (const audio of goldenTicks(bundle, session)) {
      const startedAt = performance.now()
      const said = await session.step({ at, audio })
      at += 80
      if (count++ < COLD) continue
      const kind = now[said.speech ? 'spoken' : 'silent']
      kind.trip.push(performance.now() - startedAt)
      kind.step.push(said.stepMs)
    }
    await session.reset()
    for (const kind of ['silent', 'spoken'] as const) {
      const { step, trip } = now[kind]
      if (step.length === 0) continue
      const alone = (await bare.run(kind, step.length + COLD)).slice(COLD)
      if (round < 0) continue
      all[kind].bare.push(...alone)
      all[kind].step.push(...step)
      all[kind].trip.push(...trip)
      all[kind].ratios.push((quantile(step, 0.5) ?? NaN) / (quantile(alone, 0.5) ?? NaN))
    }
  }
  const tickMs = (session.tickSamples / session.inputRate) * 1_000
  return { silent: benchOf(all.silent, tickMs), spoken: all.spoken.step.length ? benchOf(all.spoken, tickMs) : null }
}

function benchOf({ bare, step, trip, ratios }: Times, tickMs: number): TickBench {
  const of = (ms: readonly number[]): Quantiles => ({ p50: round(quantile(ms, 0.5)), p95: round(quantile(ms, 0.95)), p99: round(quantile(ms, 0.99)) })
  return { steps: step.length, bareMs: of(bare), stepMs: of(step), roundTripMs: of(trip), ratio: round(quantile(ratios, 0.5)), rtf: Math.round(((quantile(step, 0.5) ?? NaN) / tickMs) * 10_000) / 10_000 }
}
