import type { Config } from '../config/schema.js'
import type { Model } from '../conversation/conversation.js'

/** The model's session, its library loaded only now; `always`: it must answer its golden utterance first. The type comes from the engine, so that its extras (pid, refusals) are there. */
export async function openModel(bundle: string, config: Config, onRespawn: () => void = () => {}, selfTest: 'gpu' | 'always' = 'gpu'): Promise<Model & { readonly pid: number | undefined }> {
  const [{ openSession }, { ENGINES, Engines }, { LocalMachine }] = await Promise.all([import('../../models/engine/index.js'), import('../compose/engines.js'), import('../../deploy/jetson/machine.js')])
  // A ready engine in the place of the graph: else TensorRT builds its own at each start, for minutes.
  const tensorrtWrapper = config.bundle.providers.includes('tensorrt') ? await new Engines(ENGINES, new LocalMachine()).ready(bundle) : undefined
  return openSession(bundle, { providers: config.bundle.providers, onRespawn, selfTest, ...(tensorrtWrapper === undefined ? {} : { tensorrtWrapper }) })
}
