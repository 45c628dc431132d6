import type { ChildProcess } from 'node:child_process'
import { once } from 'node:events'

/** SIGKILL, if it still runs: dies at once, as in a crash or a power cut. Resolves when it is gone. */
export async function kill(child: ChildProcess | undefined): Promise<void> {
  if (!child || child.exitCode !== null || child.signalCode !== null) return
  const gone = once(child, 'exit')
  child.kill('SIGKILL')
  await gone
}
