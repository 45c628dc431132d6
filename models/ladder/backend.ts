import type { Tensor } from 'onnxruntime-common'
import type { Keep } from './prepared-graph.js'

/** From the fastest to the one that always works. */
export const PROVIDERS = ['tensorrt', 'cuda', 'cpu'] as const
export type Provider = (typeof PROVIDERS)[number]

export type Feeds = Record<string, Tensor>

export interface TensorShape {
  readonly name: string
  readonly type: string
  readonly shape: readonly (number | string)[]
}

/** A loaded graph. One `run` at a time. */
export interface GraphSession {
  readonly inputs: readonly TensorShape[]
  readonly outputs: readonly TensorShape[]
  run(feeds: Feeds): Promise<Feeds>
  /** Profiling only: the file that was written. */
  endProfiling(): void
  release(): Promise<void>
}

export interface CreateOptions {
  /** Where the profile goes; its name gets a date appended. */
  readonly profile?: string
  /** On the CPU: where the graph is kept as it was rewritten for it, so that the next start is faster. Default: nowhere. */
  readonly keep?: Keep
}

/** What the ladder and the engine need of ONNX Runtime; replaced in tests, so that every rung can be refused without a GPU. */
export interface Backend {
  readonly version: string
  /** Throws `provider-missing` where the provider's own library is not there: before a graph is loaded. */
  need(provider: Provider): void
  create(path: string, provider: Provider, options?: CreateOptions): Promise<GraphSession>
}
