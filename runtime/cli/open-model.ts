import type { Config } from '../config/schema.js'
import type { Model } from '../conversation/conversation.js'

/** The model's session, its library loaded only now; `always`: it must answer its golden utterance first. The type comes from the engine, so that its extras (pid, refusals) are there. */
export async function openModel(bundle: string, config: Config, onRespawn: () => void = () => {}, selfTest: 'gpu' | 'always' = 'gpu'): Promise<Model & { readonly pid: number | undefined; readonly provider: string; readonly refusals: readonly { readonly provider: string; readonly reason: string }[] }> {
  const [{ openSession }, { engineOptions }] = await Promise.all([import('../../models/engine/index.js'), import('../compose/engine-options.js')])
  return openSession(bundle, { ...(await engineOptions(config, bundle)), onRespawn, selfTest })
}
