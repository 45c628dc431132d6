import { deviceRoot } from '../../base/device-root.js'
import { ParleyError } from '../../base/errors.js'
import { LocalMachine, type Machine } from '../../deploy/jetson/machine.js'
import { Layout } from '../../deploy/update/layout.js'
import type { OpenOptions } from '../../models/engine/index.js'
import { ortBackend } from '../../models/ladder/index.js'
import type { Config } from '../config/schema.js'
import { Engines } from './engines.js'

/** Of a device that has an ONNX Runtime of its own; goes before the configuration. */
const VARIABLE = 'PARLEY_ONNXRUNTIME'

/** The folder of the owner's ONNX Runtime, if there is one. Throws `bad-config`. */
export function ownOnnxruntime(config: Config, env: NodeJS.ProcessEnv = process.env): string | undefined {
  const named = env[VARIABLE]
  if (!named) return config.bundle.onnxruntime
  if (!named.startsWith('/')) throw new ParleyError('bad-config', `${VARIABLE} = ${named}: expected an absolute path of a folder`)
  return named
}

/** Where the engines that were built on this device are. */
export const enginesFolder = (root = deviceRoot()): string => new Layout(root).engines

/** The engines of this device, tied to the ONNX Runtime that will load them. */
export function enginesOf(config: Config, folder = enginesFolder(), machine: Machine = new LocalMachine(deviceRoot())): Engines {
  return new Engines(folder, machine, ortBackend(ownOnnxruntime(config)))
}

/** How this device runs its bundle: on what, and with a ready engine in the place of the graph. Without one the TensorRT rung is refused. */
export async function engineOptions(config: Config, bundle: string, engines?: Engines): Promise<Pick<OpenOptions, 'providers' | 'onnxruntime' | 'tensorrtWrapper'>> {
  const own = ownOnnxruntime(config)
  const tensorrtWrapper = config.bundle.providers.includes('tensorrt') ? await (engines ?? enginesOf(config)).ready(bundle).catch(() => undefined) : undefined
  return { providers: config.bundle.providers, ...(own === undefined ? {} : { onnxruntime: own }), ...(tensorrtWrapper === undefined ? {} : { tensorrtWrapper }) }
}
