import { existsSync } from 'node:fs'
import { createRequire } from 'node:module'
import { dirname, join } from 'node:path'
import type { InferenceSession } from 'onnxruntime-common'
import { ParleyError } from '../../base/errors.js'
import type { Backend, CreateOptions, Feeds, GraphSession, Provider, TensorShape } from './backend.js'

const require = createRequire(import.meta.url)

/** ONNX Runtime for Node. Loaded on the first use: the parent process never needs the native library. */
export const onnxruntime: Backend = {
  get version(): string {
    return (require('onnxruntime-node/package.json') as { version: string }).version
  },
  async create(path: string, provider: Provider, options: CreateOptions = {}): Promise<GraphSession> {
    needProvider(provider)
    const ort = require('onnxruntime-node') as typeof import('onnxruntime-node')
    return new OrtSession(await ort.InferenceSession.create(path, sessionOptions(provider, options)))
  },
}

/** Asked before ONNX Runtime is, whose own message is about a shared library and a line on stderr. */
function needProvider(provider: Provider): void {
  if (provider === 'cpu') return
  const library = `libonnxruntime_providers_${provider}.so`
  const folder = join(dirname(require.resolve('onnxruntime-node/package.json')), 'bin', 'napi-v6', process.platform, process.arch)
  if (existsSync(join(folder, library))) return
  throw new ParleyError('provider-missing', `${library} is not in ${folder}`, { hint: 'The package is for the CPU only; a GPU needs ONNX Runtime built on the device' })
}

export function sessionOptions(provider: Provider, options: CreateOptions = {}): InferenceSession.SessionOptions {
  return {
    executionProviders: provider === 'cpu' ? [{ name: 'cpu', useArena: false }] : [{ name: provider, deviceId: 0 }],
    // one thread has the better p99 for small models, and leaves the other cores to sound (facts.md)
    intraOpNumThreads: 1,
    interOpNumThreads: 1,
    executionMode: 'sequential',
    graphOptimizationLevel: 'all',
    // the arena keeps the peak for ever and a step needs little: malloc serves it as fast (measured, docs/adr/0020)
    enableCpuMemArena: false,
    enableMemPattern: provider !== 'cpu',
    logSeverityLevel: 3,
    ...(options.profile ? { enableProfiling: true, profileFilePrefix: options.profile } : {}),
    extra: {
      session: {
        // S8 by S8 saturates without VNNI; this makes it exact (facts.md)
        x64quantprecision: '1',
        // nothing to spin for with one thread
        intra_op: { allow_spinning: '0' },
        ...(provider === 'cpu' ? {} : { disable_cpu_ep_fallback: '0' }),
      },
    },
  }
}

interface RawMetadata { readonly name: string; readonly type?: string; readonly shape?: readonly (number | string)[] }

class OrtSession implements GraphSession {
  readonly #session: InferenceSession
  readonly inputs: readonly TensorShape[]
  readonly outputs: readonly TensorShape[]

  constructor(session: InferenceSession) {
    this.#session = session
    this.inputs = (session.inputMetadata as readonly RawMetadata[]).map(shapeOf)
    this.outputs = (session.outputMetadata as readonly RawMetadata[]).map(shapeOf)
  }

  async run(feeds: Feeds): Promise<Feeds> {
    return await this.#session.run(feeds) as Feeds
  }

  endProfiling(): void {
    this.#session.endProfiling()
  }

  async release(): Promise<void> {
    await this.#session.release()
  }
}

function shapeOf(m: RawMetadata): TensorShape {
  return { name: m.name, type: m.type ?? '', shape: m.shape ?? [] }
}
