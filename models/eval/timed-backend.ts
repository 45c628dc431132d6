import type { Backend, Feeds, GraphSession } from '../ladder/backend.js'
import { onnxruntime } from '../ladder/onnxruntime.js'

/** ONNX Runtime with a clock: `lastMs` is what the graph took the last time; the rest of a step is the host's. */
export class TimedBackend implements Backend {
  lastMs = 0
  readonly #inner: Backend

  constructor(inner: Backend = onnxruntime) {
    this.#inner = inner
  }

  get version(): string {
    return this.#inner.version
  }

  need(...args: Parameters<Backend['need']>): void {
    this.#inner.need(...args)
  }

  async create(...args: Parameters<Backend['create']>): Promise<GraphSession> {
    const graph = await this.#inner.create(...args)
    return {
      inputs: graph.inputs,
      outputs: graph.outputs,
      run: async (feeds: Feeds): Promise<Feeds> => {
        const started = performance.now()
        try {
          return await graph.run(feeds)
        } finally {
          this.lastMs = performance.now() - started
        }
      },
      endProfiling: () => graph.endProfiling(),
      release: () => graph.release(),
    }
  }
}
