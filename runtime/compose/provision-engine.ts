import { systemClock } from '../../base/clock.js'
import { describe } from '../../base/errors.js'
import type { Seen } from '../../base/finding.js'
import { NO_ENGINE, progressLine } from './engine-words.js'
import type { Engines } from './engines.js'

/**
 * Builds the bundle's engine on a new device: without one TensorRT is not used (docs/adr/0020). Minutes, told a phase a line.
 * Undefined: there is no TensorRT here. Never rejects: the device talks without one, only slower.
 */
export async function provisionEngine(engines: Engines, bundle: string, tell: (line: string) => void, signal: AbortSignal): Promise<Seen | undefined> {
  let phase = ''
  try {
    const result = await engines.build(bundle, systemClock, progress => {
      if (progress.phase !== phase) tell(`engine: ${progressLine(progress)}`)
      phase = progress.phase
    }, signal)
    if (result === 'no-tensorrt') return undefined
    if (result === 'built' || result === 'there') return { state: 'ok', seen: result === 'built' ? 'built for this bundle' : 'there already' }
    return { state: 'ok', seen: NO_ENGINE[result] }
  } catch (error) {
    return { state: 'warn', seen: `not built: ${describe(error)}`, mend: 'sudo parley engines build' }
  }
}
