import type { ParleyError } from '../../base/errors.js'
import type { Config } from '../config/schema.js'
import type { Model } from '../conversation/conversation.js'

export interface ModelOptions {
  /** It must answer its golden utterance on whatever provider is left, or it is not opened. */
  readonly judged?: boolean
  readonly onRespawn?: () => void
  /** It did not answer its golden utterance and is kept. */
  readonly onFailed?: (error: ParleyError) => void
}

/** The model's session, its library loaded only now. The type comes from the engine, so that its extras (pid, refusals) are there. */
export async function openModel(bundle: string, config: Config, { judged = false, onRespawn, onFailed }: ModelOptions = {}): Promise<Model & { readonly pid: number | undefined }> {
  const [{ openSession }, tensorrtWrapper] = await Promise.all([import('../../models/engine/index.js'), readyEngine(bundle, config)])
  return openSession(bundle, { providers: config.bundle.providers, selfTest: judged ? 'always' : 'spare-last', ...(onRespawn && { onRespawn }), ...(onFailed && { onFailed }), ...(tensorrtWrapper === undefined ? {} : { tensorrtWrapper }) })
}

/** A ready engine in the place of the graph: else TensorRT builds its own at each start, for minutes. */
export async function readyEngine(bundle: string, config: Config): Promise<string | undefined> {
  if (!config.bundle.providers.includes('tensorrt')) return undefined
  const [{ ENGINES, Engines }, { LocalMachine }] = await Promise.all([import('../compose/engines.js'), import('../../deploy/jetson/machine.js')])
  return new Engines(ENGINES, new LocalMachine()).ready(bundle)
}
