import { mkdir, readdir, rm, stat } from 'node:fs/promises'
import { join } from 'node:path'
import type { Clock } from '../../base/clock.js'
import { ParleyError } from '../../base/errors.js'
import { isThere, readJsonIfThere, writeFileAtomic } from '../../base/files.js'
import { detect } from '../../deploy/jetson/detect.js'
import { buildEngine, type BuildProgress } from '../../deploy/jetson/engine.js'
import type { Machine } from '../../deploy/jetson/machine.js'
import { loadBundle, type Bundle } from '../../models/bundle/index.js'
import { EngineCache, onnxruntime, shapesOf, type Backend, type EngineKey } from '../../models/ladder/index.js'

/** Beside the engines: which one is for which graph here, so that a start need not load a graph to know the shapes in its key. */
const READY = 'ready.json'
/** Of TensorRT's workspace, MB: an Orin Nano has 8 GB for all, and the voice goes on meanwhile. */
const WORKSPACE_MB = 1_024

export interface EngineRow {
  readonly file: string
  readonly bytes: number
  /** The bundle that was asked about uses it. */
  readonly used: boolean
}

interface TensorRt {
  readonly computeCapability: string
  readonly tensorrt: string
}

/** Why there is nothing to build; `no-graph`: the bundle has none that TensorRT could run. */
export type NoEngine = 'no-tensorrt' | 'unknown-chip' | 'no-graph'

/** `unbuilt`: it could be built, and is not for this graph and these versions. */
export type EngineState = { readonly is: 'ready'; readonly wrapper: string } | { readonly is: 'unbuilt' | NoEngine }

type Tied = Omit<EngineKey, 'inputs' | 'outputs'>

/** The step graph's engine of one bundle on this machine: where it is, and how it is built. */
export class Engines {
  readonly #cache: EngineCache
  readonly #machine: Machine
  readonly #backend: Backend

  constructor(folder: string, machine: Machine, backend: Backend = onnxruntime) {
    this.#cache = new EngineCache(folder)
    this.#machine = machine
    this.#backend = backend
  }

  /** How the bundle in this folder stands. Throws what is wrong with it. */
  async state(folder: string): Promise<EngineState> {
    const found = await this.#tensorrt()
    if (typeof found === 'string') return { is: found } // by far the most machines: the bundle is not read twice there
    const graph = this.#graph(await loadBundle(folder), found)
    if (!graph) return { is: 'no-graph' }
    const name = (await this.#names())[tieOf(graph.tied)]
    if (name === undefined) return { is: 'unbuilt' }
    const there = await Promise.all([`${name}.onnx`, `${name}.engine`].map(n => isThere(join(this.#cache.folder, n))))
    return there.every(Boolean) ? { is: 'ready', wrapper: join(this.#cache.folder, `${name}.onnx`) } : { is: 'unbuilt' }
  }

  /** The wrapper to load in the place of the graph, if there is one. */
  async ready(folder: string): Promise<string | undefined> {
    const state = await this.state(folder)
    return state.is === 'ready' ? state.wrapper : undefined
  }

  /** Builds what is missing: minutes. */
  async build(folder: string, clock: Clock, onProgress: (progress: BuildProgress) => void, signal: AbortSignal): Promise<'built' | 'there' | NoEngine> {
    const bundle = await loadBundle(folder)
    const found = await this.#tensorrt()
    if (typeof found === 'string') return found
    const graph = this.#graph(bundle, found)
    if (!graph) return 'no-graph'
    const session = await this.#backend.create(graph.file, 'cpu') // for its shapes only
    const shapes = shapesOf(session)
    await session.release()
    const key: EngineKey = { ...graph.tied, ...shapes }
    await mkdir(this.#cache.folder, { recursive: true })
    const engine = this.#cache.engineFile(key)
    const built = await buildEngine(this.#machine, clock, { graph: graph.file, engine, workspaceMb: WORKSPACE_MB }, onProgress, signal)
    const wrapper = await this.#cache.wrap(key, graph.file)
    const name = wrapper.slice(this.#cache.folder.length + 1, -'.onnx'.length)
    await writeFileAtomic(join(this.#cache.folder, READY), JSON.stringify({ ...(await this.#names()), [tieOf(graph.tied)]: name }, undefined, 2))
    return built ? 'built' : 'there'
  }

  async list(folder: string | undefined): Promise<EngineRow[]> {
    const used = folder === undefined ? undefined : await this.ready(folder)
    const names = (await readdir(this.#cache.folder).catch(() => [])).filter(n => n.endsWith('.engine')).sort()
    return Promise.all(names.map(async n => {
      const file = join(this.#cache.folder, n)
      return { file, bytes: (await stat(file)).size, used: used === wrapperOf(file) }
    }))
  }

  /** Removes all but those that one of these bundles uses. Returns what went; nothing goes when a bundle cannot be read. */
  async clear(keep: readonly string[]): Promise<string[]> {
    const used = new Set(await Promise.all(keep.map(folder => this.ready(folder))))
    const gone = (await this.list(undefined)).map(row => row.file).filter(file => !used.has(wrapperOf(file)))
    for (const file of gone) for (const path of [file, wrapperOf(file)]) await rm(path, { force: true })
    return gone
  }

  async #tensorrt(): Promise<TensorRt | 'no-tensorrt' | 'unknown-chip'> {
    const found = await detect(this.#machine)
    if (found?.tensorrt === undefined) return 'no-tensorrt'
    return found.computeCapability === '' ? 'unknown-chip' : { computeCapability: found.computeCapability, tensorrt: found.tensorrt }
  }

  #graph(bundle: Bundle, found: TensorRt): { file: string; tied: Tied } | undefined {
    const { graphs, files } = bundle.manifest
    const step = Object.values(graphs).find(g => g.role === 'step')
    const file = step?.files.trt ?? step?.files.any
    if (!file) return undefined
    const modelSha256 = files[file.path]?.sha256
    if (modelSha256 === undefined) throw new ParleyError('bundle-bad', `${file.path} has no hash in bundle.json`)
    return { file: bundle.path(file.path), tied: { modelSha256, computeCapability: found.computeCapability, tensorrtVersion: found.tensorrt, onnxruntimeVersion: this.#backend.version, precision: file.precision } }
  }

  async #names(): Promise<Record<string, string>> {
    const names = (await readJsonIfThere(join(this.#cache.folder, READY))) ?? {} // nothing was built, or it is built anew
    return Object.fromEntries(Object.entries(names).filter((e): e is [string, string] => typeof e[1] === 'string' && /^[\w.-]+$/.test(e[1])))
  }
}

const wrapperOf = (engine: string): string => engine.replace(/\.engine$/, '.onnx')
const tieOf = (t: Tied): string => [t.modelSha256, t.computeCapability, t.tensorrtVersion, t.onnxruntimeVersion, t.precision].join(' ')
