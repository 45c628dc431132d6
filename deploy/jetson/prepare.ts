import { join } from 'node:path'
import { stat } from 'node:fs/promises'
import { ParleyError } from '../../base/errors.js'
import { detect } from './detect.js'
import { Layout } from '../update/layout.js'
import { LocalMachine, type Machine } from './machine.js'

/** The command line is unknown to that release: it has no engines to build. */
const USAGE = 2

/** How far the build is; `done` and `of`, ms, where one was built before. */
export interface EngineProgress {
  readonly reason: string
  readonly done?: number
  readonly of?: number
}

/**
 * Before the switch: lets the new release build its engines, with its own program, because only it knows what they are tied to.
 * It builds beside the old ones, which go on being used. On a machine without TensorRT there is nothing to do.
 */
export async function prepareEngines(release: string, root: string, signal: AbortSignal, onProgress: (progress: EngineProgress) => void, machine: Machine = new LocalMachine(root)): Promise<void> {
  const { code, said } = await engines('build', release, root, signal, line => onProgress(progressOf(line)), machine)
  if (code !== 0 && code !== USAGE) throw new ParleyError('engine-build', `the release could not build its engine: ${said}`)
}

/** After the commit: the engines of the releases before are hundreds of megabytes each, and nobody goes back to them. */
export async function dropEngines(release: string, root: string, signal: AbortSignal, machine: Machine = new LocalMachine(root)): Promise<void> {
  const { code, said } = await engines('clear', release, root, signal, () => {}, machine)
  if (code !== 0 && code !== USAGE) throw new ParleyError('engine-clear', `the old engines are still there: ${said}`)
}

/** A line of `parley engines build --json`; every other one is told as it is. */
function progressOf(line: string): EngineProgress {
  try {
    const { phase, elapsedMs, expectedMs, result } = JSON.parse(line) as { phase?: unknown; elapsedMs?: unknown; expectedMs?: unknown; result?: unknown }
    if (typeof result === 'string') return { reason: `engine: ${result}` }
    if (typeof phase !== 'string' || typeof elapsedMs !== 'number') return { reason: line }
    const reason = `engine: ${phase}`
    // Longer than the last time it is nearly done, not more than done.
    return typeof expectedMs === 'number' && expectedMs > 0 ? { reason, done: Math.min(Math.round(elapsedMs), Math.round(expectedMs * 0.99)), of: Math.round(expectedMs) } : { reason }
  } catch {
    return { reason: line }
  }
}

async function engines(verb: 'build' | 'clear', release: string, root: string, signal: AbortSignal, onLine: (line: string) => void, machine: Machine): Promise<{ code: number; said: string }> {
  const nothing = { code: 0, said: '' }
  if ((await detect(machine))?.tensorrt === undefined) return nothing
  const program = join(release, 'app/dist/runtime/cli/main.js')
  if (!(await stat(program).catch(() => undefined))) return nothing
  const lines: string[] = []
  const keep = (line: string): void => {
    lines.push(line)
    if (lines.length > 20) lines.shift()
    onLine(line)
  }
  const code = await machine.run(['nice', '-n', '19', process.execPath, program, 'engines', verb, '--bundle', join(release, 'bundle'), '--cache', new Layout(root).engines, ...(verb === 'build' ? ['--json'] : [])], keep, signal)
  return { code, said: lines.slice(-3).join(' | ') }
}
