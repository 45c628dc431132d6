import type { ParleyError } from '../../base/errors.js'
import type { SpareChild } from '../../models/engine/spare-child.js'
import type { Config } from '../config/schema.js'
import type { Model } from '../conversation/conversation.js'

export interface ModelOptions {
  /** It must answer its golden utterance on whatever provider is left, or it is not opened. */
  readonly judged?: boolean
  /** Taken for the first process. */
  readonly spare?: SpareChild
  readonly onRespawn?: () => void
  /** It did not answer its golden utterance and is kept. */
  readonly onFailed?: (error: ParleyError) => void
  /** Breaks it off. */
  readonly signal?: AbortSignal
}

type Opened = Model & { readonly pid: number | undefined; readonly provider: string; readonly refusals: readonly { readonly provider: string; readonly reason: string }[] }

/** The model's session, its library loaded only now. The type comes from the engine, so that its extras are there. */
export async function openModel(bundle: string, config: Config, { judged = false, spare, onRespawn, onFailed, signal }: ModelOptions = {}): Promise<Opened> {
  const [{ openSession }, { engineOptions }] = await Promise.all([import('../../models/engine/index.js'), import('../compose/engine-options.js')])
  return openSession(bundle, { ...(await engineOptions(config, bundle)), selfTest: judged ? 'always' : 'spare-last', ...(spare && { spare }), ...(onRespawn && { onRespawn }), ...(onFailed && { onFailed }), ...(signal && { signal }) })
}
