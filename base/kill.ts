import type { ChildProcess } from 'node:child_process'
import { once } from 'node:events'

const GRACE_MS = 3_000

/** SIGTERM, if it still runs, and SIGKILL where that does not end it. Resolves when it is gone. */
export async function end(child: ChildProcess, graceMs = GRACE_MS): Promise<void> {
  if (child.exitCode !== null || child.signalCode !== null) return
  const gone = once(child, 'exit')
  child.kill('SIGTERM')
  const hard = setTimeout(() => child.kill('SIGKILL'), graceMs)
  await gone
  clearTimeout(hard)
}

/** SIGKILL, if it still runs: dies at once, as in a crash or a power cut. Resolves when it is gone. */
export async function kill(child: ChildProcess | undefined): Promise<void> {
  if (!child || child.exitCode !== null || child.signalCode !== null) return
  const gone = once(child, 'exit')
  child.kill('SIGKILL')
  await gone
}
