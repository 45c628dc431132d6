import { createHash } from 'node:crypto'
import { access, mkdir } from 'node:fs/promises'
import { basename, join } from 'node:path'
import { ParleyError } from '../../base/errors.js'
import { writeFileAtomic } from '../../base/files.js'
import type { GraphSession, TensorShape } from './backend.js'
import { epContextModel } from './ep-context.js'
import { ONNX_TYPES, type OnnxType, type TensorInfo } from './onnx-model.js'

/** All that an engine is tied to. Where one of these differs, the engine may not load, or load and be wrong. */
export interface EngineKey {
  /** sha256 of the graph's file. */
  readonly modelSha256: string
  readonly computeCapability: string
  readonly tensorrtVersion: string
  readonly onnxruntimeVersion: string
  readonly precision: string
  readonly inputs: readonly TensorInfo[]
  readonly outputs: readonly TensorInfo[]
}

/** Engines that were built on this device, each a file and its wrapper, named by their key: a changed part finds nothing. */
export class EngineCache {
  readonly folder: string

  constructor(folder: string) {
    this.folder = folder
  }

  engineFile(key: EngineKey): string {
    return join(this.folder, `${engineName(key)}.engine`)
  }

  /** The wrapper to load in the place of the graph, if both it and its engine are there. */
  async find(key: EngineKey): Promise<string | undefined> {
    const wrapper = join(this.folder, `${engineName(key)}.onnx`)
    try {
      await Promise.all([access(wrapper), access(this.engineFile(key))])
      return wrapper
    } catch {
      return undefined // not built yet
    }
  }

  /** Writes the wrapper for an engine that stands under `engineFile(key)`. */
  async wrap(key: EngineKey, modelFile: string): Promise<string> {
    const engine = this.engineFile(key)
    await access(engine).catch((cause: unknown) => { throw new ParleyError('ep-context', `there is no engine ${engine}`, { cause, hint: 'Build it first with trtexec.' }) })
    await mkdir(this.folder, { recursive: true })
    const wrapper = join(this.folder, `${engineName(key)}.onnx`)
    await writeFileAtomic(wrapper, epContextModel({ ...key, engineFile: basename(engine), modelFile }))
    return wrapper
  }
}

/** A name that changes with every part of the key; the first parts are readable. */
export function engineName(key: EngineKey): string {
  const parts = [key.modelSha256, key.computeCapability, key.tensorrtVersion, key.onnxruntimeVersion, key.precision, ...[...key.inputs, ...key.outputs].map(t => `${t.name}:${t.type}:${t.shape.join('x')}`)]
  const hash = createHash('sha256').update(JSON.stringify(parts)).digest('hex')
  return `sm${key.computeCapability}-trt${key.tensorrtVersion}-${hash.slice(0, 24)}`
}

/** The inputs and outputs of a loaded graph, as the key and the wrapper need them. */
export function shapesOf(graph: GraphSession): Pick<EngineKey, 'inputs' | 'outputs'> {
  return { inputs: graph.inputs.map(infoOf), outputs: graph.outputs.map(infoOf) }
}

function infoOf({ name, type, shape }: TensorShape): TensorInfo {
  if (!Object.hasOwn(ONNX_TYPES, type)) throw new ParleyError('ep-context', `${name} has the type ${type}, which an engine's wrapper cannot say`)
  return { name, type: type as OnnxType, shape }
}
