import { existsSync, statSync } from 'node:fs'
import { createRequire } from 'node:module'
import { dirname, join } from 'node:path'
import type { InferenceSession } from 'onnxruntime-common'
import { ParleyError } from '../../base/errors.js'
import type { Backend, CreateOptions, Feeds, GraphSession, Provider, TensorShape } from './backend.js'
import { PreparedGraph } from './prepared-graph.js'

const require = createRequire(import.meta.url)

type Ort = typeof import('onnxruntime-node')
/** The native part of the package, and what a build with `--build_nodejs` makes in its place. */
const BINDING = 'onnxruntime_binding.node'
const LIBRARY = 'libonnxruntime.so.1'

/**
 * ONNX Runtime for Node. Loaded on the first use: the parent process never needs the native library. `own`: a folder with a build
 * of the owner's (binding, library, providers), used in the place of the package's. One process loads one of them: two libraries
 * of the same name would be taken for each other by the linker.
 */
export function ortBackend(own?: string): Backend {
  return {
    get version(): string {
      return own === undefined ? (require('onnxruntime-node/package.json') as { version: string }).version : buildOf(own)
    },
    need: provider => needProvider(provider, own),
    async create(path: string, provider: Provider, options: CreateOptions = {}): Promise<GraphSession> {
      needProvider(provider, own)
      const ort = own === undefined ? (require('onnxruntime-node') as Ort) : ownOrt(own)
      const settings = sessionOptions(provider, options)
      if (provider !== 'cpu' || !options.keep) return new OrtSession(await ort.InferenceSession.create(path, settings))
      const prepared = new PreparedGraph(options.keep, JSON.stringify([this.version, settings]))
      return new OrtSession(await prepared.open(path, ({ file, rewritten, write }) => ort.InferenceSession.create(file, {
        ...settings,
        ...(rewritten ? { graphOptimizationLevel: 'disabled' } : {}),
        ...(write === undefined ? {} : { optimizedModelFilePath: write }),
      })))
    },
  }
}

export const onnxruntime: Backend = ortBackend()

const packageFolder = (): string => join(dirname(require.resolve('onnxruntime-node/package.json')), 'bin', 'napi-v6', process.platform, process.arch)

/** The package's JavaScript over the owner's native part, which is put where the package's would be loaded to. */
function ownOrt(folder: string): Ort {
  const binding = join(folder, BINDING)
  for (const file of [binding, join(folder, LIBRARY)]) if (!existsSync(file)) throw ownBad(folder, `${file} is missing`)
  try {
    require(binding)
  } catch (cause) {
    throw ownBad(folder, 'it cannot be loaded', cause)
  }
  const place = join(packageFolder(), BINDING)
  require.cache[place] = require.cache[require.resolve(binding)]
  return require('onnxruntime-node') as Ort
}

function ownBad(folder: string, what: string, cause?: unknown): ParleyError {
  return new ParleyError('onnxruntime-bad', `the ONNX Runtime in ${folder}: ${what}`, { cause, hint: 'bundle.onnxruntime is a folder with what a build with --build_nodejs --use_tensorrt made (docs/jetson-checklist.md)' })
}

/** Which build of the owner's it is: an engine is tied to it, and it has no version that could be asked for without loading it. */
function buildOf(folder: string): string {
  try {
    const { size, mtimeMs } = statSync(join(folder, LIBRARY))
    return `own-${size}-${Math.round(mtimeMs)}`
  } catch (cause) {
    throw ownBad(folder, `${join(folder, LIBRARY)} is missing`, cause)
  }
}

/** Asked before ONNX Runtime is, whose own message is about a shared library and a line on stderr. */
function needProvider(provider: Provider, own: string | undefined): void {
  if (provider === 'cpu') return
  const library = `libonnxruntime_providers_${provider}.so`
  const folder = own ?? packageFolder()
  if (existsSync(join(folder, library))) return
  throw new ParleyError('provider-missing', `${library} is not in ${folder}`, { hint: own === undefined ? 'The package is for the CPU only; a GPU needs ONNX Runtime built on the device: bundle.onnxruntime names its folder' : `Build it with --use_${provider}` })
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
      // in a graph with an If it names outputs inside as outside, and what is kept of that cannot be loaded (docs/adr/0056)
      ...(provider === 'cpu' ? { optimization: { disable_specified_optimizers: 'GatherSliceToSplitFusion' } } : {}),
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
