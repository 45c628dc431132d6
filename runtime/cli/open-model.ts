import type { Config } from '../config/schema.js'
import type { Model } from '../conversation/conversation.js'

/** The model's session, its library loaded only now. The type comes from the engine, so that its extras (pid, refusals) are there. */
export async function openModel(bundle: string, config: Config, onRespawn: () => void = () => {}): Promise<Model & { readonly pid: number | undefined }> {
  const { openSession } = await import('../../models/engine/index.js')
  return openSession(bundle, { providers: config.bundle.providers, onRespawn })
}
