import { join } from 'node:path'
import { stat } from 'node:fs/promises'
import { ParleyError } from '../../base/errors.js'
import { detect } from './detect.js'
import { Layout } from '../update/layout.js'
import { LocalMachine, type Machine } from './machine.js'

/** The command line is unknown to that release: it has no engines to build. */
const USAGE = 2

/**
 * Before the switch: lets the new release build its engines, with its own program, because only it knows what they are tied to.
 * It builds beside the old ones, which go on being used. On a machine without TensorRT there is nothing to do.
 */
export async function prepareEngines(release: string, root: string, signal: AbortSignal, onProgress: (line: string) => void, machine: Machine = new LocalMachine(root)): Promise<void> {
  const { code, said } = await engines('build', release, root, signal, onProgress, machine)
  if (code !== 0 && code !== USAGE) throw new ParleyError('engine-build', `the release could not build its engine: ${said}`)
}

/** After the commit: the engines of the releases before are hundreds of megabytes each, and nobody goes back to them. */
export async function dropEngines(release: string, root: string, signal: AbortSignal, machine: Machine = new LocalMachine(root)): Promise<void> {
  const { code, said } = await engines('clear', release, root, signal, () => {}, machine)
  if (code !== 0 && code !== USAGE) throw new ParleyError('engine-clear', `the old engines are still there: ${said}`)
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
  const code = await machine.run(['nice', '-n', '19', process.execPath, program, 'engines', verb, '--bundle', join(release, 'bundle'), '--cache', new Layout(root).engines], keep, signal)
  return { code, said: lines.slice(-3).join(' | ') }
}
