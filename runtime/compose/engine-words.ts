import type { BuildProgress } from '../../deploy/jetson/engine.js'
import type { NoEngine } from './engines.js'

/** Why a bundle has no engine here, for a person. */
export const NO_ENGINE: Readonly<Record<NoEngine, string>> = {
  'no-tensorrt': 'there is no TensorRT here',
  'unknown-chip': 'this chip is not known',
  'no-graph': 'this bundle has no graph for TensorRT',
}

export function progressLine({ phase, elapsedMs, expectedMs }: BuildProgress): string {
  const of = expectedMs === undefined ? '' : ` of about ${Math.round(expectedMs / 1_000)} s`
  return `${phase}, ${Math.round(elapsedMs / 1_000)} s${of}`
}
