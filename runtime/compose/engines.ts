import { mkdir, readdir, rm, stat } from 'node:fs/promises'
import { join } from 'node:path'
import type { Clock } from '../../base/clock.js'
import { ParleyError } from '../../base/errors.js'
import { isThere, readJsonIfThere, writeFileAtomic } from '../../base/files.js'
import { detect } from '../../deploy/jetson/detect.js'
import { buildEngine, type BuildProgress } from '../../deploy/jetson/engine.js'
import type { Machine } from '../../deploy/jetson/machine.js'
import { Layout } from '../../deploy/update/layout.js'
import { loadBundle, type Bundle } from '../../models/bundle/index.js'
import { EngineCache, onnxruntime, shapesOf, type Backend, type EngineKey } from '../../models/ladder/index.js'

/** Engines that were built on this device. */
export const ENGINES = new Layout().engines
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

  /** The wrapper to load in the place of the graph, or undefined: no TensorRT here, or not built for this graph and these versions. */
  async ready(folder: string): Promise<string | undefined> {
    const found = await this.#tensorrt()
    if (found === undefined) return undefined // by far the most machines: the bundle is not read twice there
    const graph = this.#graph(await loadBundle(folder), found)
    const name = graph && (await this.#names())[tieOf(graph.tied)]
    if (name === undefined) return undefined
    const there = await Promise.all([`${name}.onnx`, `${name}.engine`].map(n => isThere(join(this.#cache.folder, n))))
    return there.every(Boolean) ? join(this.#cache.folder, `${name}.onnx`) : undefined
  }

  /** Builds what is missing: minutes. `none`: there is no TensorRT here, or no graph for it in the bundle. */
  async build(folder: string, clock: Clock, onProgress: (progress: BuildProgress) => void, signal: AbortSignal): Promise<'built' | 'there' | 'none'> {
    const bundle = await loadBundle(folder)
    const found = await this.#tensorrt()
    const graph = found && this.#graph(bundle, found)
    if (!graph) return 'none'
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
      return { file, bytes: (await stat(file)).size, used: used === file.replace(/\.engine$/, '.onnx') }
    }))
  }

  /** Removes all but those that `keep`'s bundle uses. Returns what went. */
  async clear(keep: string | undefined): Promise<string[]> {
    const gone = (await this.list(keep)).filter(row => !row.used).map(row => row.file)
    for (const file of gone) for (const path of [file, file.replace(/\.engine$/, '.onnx')]) await rm(path, { force: true })
    return gone
  }

  async #tensorrt(): Promise<TensorRt | undefined> {
    const found = await detect(this.#machine)
    return found?.tensorrt === undefined ? undefined : { computeCapability: found.computeCapability, tensorrt: found.tensorrt }
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

const tieOf = (t: Tied): string => [t.modelSha256, t.computeCapability, t.tensorrtVersion, t.onnxruntimeVersion, t.precision].join(' ')
