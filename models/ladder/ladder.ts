import { ParleyError, describe } from '../../base/errors.js'
import type { Provider } from './backend.js'

export interface Rung {
  readonly provider: Provider
  /** The graph's file for this provider. */
  readonly file: string
}

/** Why a provider was not taken. */
export interface Refusal {
  readonly provider: Provider
  readonly reason: string
}

export interface Climbed<T> {
  readonly provider: Provider
  readonly file: string
  readonly value: T
  readonly refusals: readonly Refusal[]
}

/**
 * Tries the rungs in order and takes the first on which `attempt` succeeds: it must load the graph and run it once, because
 * ONNX Runtime does not fall back by itself and a provider may load and then fail to run. Throws `no-provider` with all reasons.
 */
export async function climb<R extends Rung, T>(rungs: readonly R[], attempt: (rung: R) => Promise<T>, before: (rung: R) => void = () => {}): Promise<Climbed<T>> {
  const refusals: Refusal[] = []
  for (const rung of rungs) {
    before(rung)
    try {
      return { provider: rung.provider, file: rung.file, value: await attempt(rung), refusals }
    } catch (error) {
      refusals.push({ provider: rung.provider, reason: describe(error).replace(/\s+/g, ' ').slice(0, 500) })
    }
  }
  const reasons = refusals.map(r => `${r.provider}: ${r.reason}`).join('; ')
  throw new ParleyError('no-provider', refusals.length ? `no provider can run the model: ${reasons}` : 'the bundle has no graph for the providers that were asked for')
}
