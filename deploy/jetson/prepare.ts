import { join } from 'node:path'
import { stat } from 'node:fs/promises'
import { ParleyError } from '../../base/errors.js'
import { detect } from './detect.js'
import { LocalMachine, type Machine } from './machine.js'

/** The command line is unknown to that release: it has no engines to build. */
const USAGE = 2

/**
 * Before the switch: lets the new release build its engines, with its own program, because only it knows what they are tied to.
 * It builds beside the old ones, which go on being used. On a machine without TensorRT there is nothing to do.
 */
export async function prepareEngines(release: string, root: string, signal: AbortSignal, onProgress: (line: string) => void, machine: Machine = new LocalMachine(root)): Promise<void> {
  const found = await detect(machine)
  if (found?.tensorrt === undefined) return
  const program = join(release, 'app/dist/runtime/cli/main.js')
  if (!(await stat(program).catch(() => undefined))) return
  const lines: string[] = []
  const onLine = (line: string): void => {
    lines.push(line)
    if (lines.length > 20) lines.shift()
    onProgress(line)
  }
  const code = await machine.run(['nice', '-n', '19', process.execPath, program, 'engines', '--bundle', join(release, 'bundle'), '--cache', join(root, 'var/lib/parley/engines')], onLine, signal)
  if (code !== 0 && code !== USAGE) throw new ParleyError('engine-build', `the release could not build its engine: ${lines.slice(-3).join(' | ')}`)
}
