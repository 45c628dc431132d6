import { join } from 'node:path'
import { cacheFolder } from '../../base/cache-folder.js'
import { ParleyError, describe } from '../../base/errors.js'
import { loadBundle, type Bundle, type LoadOptions } from '../bundle/load.js'
import type { Backend } from '../ladder/backend.js'
import type { Refusal } from '../ladder/ladder.js'
import { onnxruntime } from '../ladder/onnxruntime.js'
import { EngineSession, type EngineOptions } from './engine-session.js'
import { runGolden } from './golden.js'
import { InProcessSession } from './in-process.js'
import { stepSpecOf, type StepSpec, type StepSpecOptions } from './step-spec.js'
import { TickHost } from './tick-host.js'

export interface OpenOptions extends EngineOptions, Omit<StepSpecOptions, 'factFolder' | 'graphFolder'>, LoadOptions {
  /** Whether the keys and values of facts are kept in the cache folder, so that the next start need not read them. Default true. */
  readonly keepFacts?: boolean
  /**
   * The golden utterance is played on each provider; one that fails it is refused. `spare-last` (default): but for the last one,
   * which is kept, for there is no better, and `onFailed` is told. `always`: the last one too. `never`: none is asked.
   */
  readonly selfTest?: 'spare-last' | 'always' | 'never'
  /** The last provider did not answer its golden utterance, and was kept. */
  readonly onFailed?: (error: ParleyError) => void
  /** Breaks the opening off: no other provider is tried, and no process is left. */
  readonly signal?: AbortSignal
}

/**
 * Runs a bundle in its own process, on the best provider that can. Where an ONNX Runtime of the owner's cannot run it at all, perhaps
 * since an upgrade of the libraries below it, the package's does on the CPU: slow is better than mute, and `refusals` tell.
 */
export async function openSession(bundle: string | Bundle, options: OpenOptions = {}): Promise<EngineSession> {
  const loaded = typeof bundle === 'string' ? await loadBundle(bundle, options) : bundle
  const { onnxruntime: own, ...shipped } = options
  if (own === undefined) return openOn(loaded, options, [])
  try {
    return await openOn(loaded, { ...options, selfTest: options.selfTest === 'never' ? 'never' : 'always' }, []) // its last rung is not the last
  } catch (error) {
    options.signal?.throwIfAborted()
    return openOn(loaded, { ...shipped, providers: ['cpu'] }, [{ provider: 'cpu', reason: `${own}: ${describe(error)}` }])
  }
}

/** Down the ladder until one answers the golden utterance. `make`: replaced in tests, which have one provider only. */
export async function openOn(loaded: Bundle, options: OpenOptions, refused: readonly Refusal[], make = (...of: ConstructorParameters<typeof EngineSession>): EngineSession => new EngineSession(...of)): Promise<EngineSession> {
  const cache = options.cacheFolder ?? cacheFolder()
  const factFolder = join(cache, 'facts')
  let spec = stepSpecOf(loaded, { ...options, graphFolder: join(cache, 'graphs'), ...(options.keepFacts !== false && { factFolder }) })
  const failed: Refusal[] = [...refused]
  for (;;) {
    const session = make(spec, options, failed)
    try {
      await session.open(options.signal)
      if (options.selfTest === 'never') return session
      const golden = await runGolden(session, loaded, options.signal)
      if (golden.passed) return session
      const failure = new ParleyError('golden-failed', `the golden utterance failed on ${session.provider}: ${golden.missing.join(', ')} did not come`)
      if (options.selfTest === 'always' || session.provider !== spec.rungs.at(-1)?.provider) throw failure
      options.onFailed?.(failure)
      return session
    } catch (error) {
      const provider = session.provider
      await session[Symbol.asyncDispose]()
      options.signal?.throwIfAborted()
      const rest = spec.rungs.filter(r => r.provider !== provider && !session.refusals.some(x => x.provider === r.provider))
      if (provider === 'none' || rest.length === 0) throw error
      failed.push(...session.refusals.filter(r => !failed.includes(r)), { provider: provider as Refusal['provider'], reason: describe(error) })
      spec = { ...spec, rungs: rest } satisfies StepSpec
    }
  }
}

/** The same without a child process; `backend` can be replaced by tests. */
export async function openInProcess(bundle: string | Bundle, options: StepSpecOptions & LoadOptions & { readonly backend?: Backend } = {}): Promise<InProcessSession> {
  const loaded = typeof bundle === 'string' ? await loadBundle(bundle, options) : bundle
  return new InProcessSession(await TickHost.open(stepSpecOf(loaded, options), options.backend ?? onnxruntime))
}
