import { spawn, type ChildProcess } from 'node:child_process'
import { ParleyError } from '../../base/errors.js'

/** More than this is not an answer but a flood; the program is killed. */
const OUTPUT_LIMIT = 4_096

/** Kills a process started with `detached` and all that it started. Never throws: it may be gone already. */
export function killGroup(child: ChildProcess): void {
  try {
    if (child.pid !== undefined && child.exitCode === null && child.signalCode === null) process.kill(-child.pid, 'SIGKILL')
  } catch {
    // ESRCH: it ended by itself between the check and the kill
  }
}

/**
 * Runs a program to its end, without a shell, and returns what it printed.
 * Throws `command-failed` (not startable, non-zero, too much output), `timeout`, or the signal's reason; in each case
 * the program and all that it started are dead.
 */
export function runArgv(argv: readonly string[], limits: { timeoutMs: number; signal: AbortSignal }): Promise<string> {
  const [program = '', ...args] = argv
  return new Promise((resolve, reject) => {
    if (limits.signal.aborted) return reject(limits.signal.reason)
    // Its own group, so that a script's children die with it.
    const child = spawn(program, args, { stdio: ['ignore', 'pipe', 'ignore'], detached: true })
    let failure: unknown
    // Settles only on `close`, so that nothing lives on when the caller hears of it.
    const end = (error: unknown): void => {
      failure ??= error
      killGroup(child)
      child.stdout.destroy() // a grandchild that left the group may hold the other end for ever
    }
    const fail = (why: string, cause?: unknown): void =>
      end(new ParleyError('command-failed', `${program} ${why}`, cause === undefined ? {} : { cause }))
    const onAbort = (): void => end(limits.signal.reason)
    const timer = setTimeout(() => end(new ParleyError('timeout', `${program} took longer than ${limits.timeoutMs} ms`)), limits.timeoutMs)
    limits.signal.addEventListener('abort', onAbort, { once: true })
    let output = ''
    child.stdout.setEncoding('utf8').on('data', (text: string) => {
      output += text
      if (output.length > OUTPUT_LIMIT) fail(`printed more than ${OUTPUT_LIMIT} characters`)
    })
    child.on('error', cause => fail('could not be started', cause))
    child.on('close', (code, signal) => {
      clearTimeout(timer)
      limits.signal.removeEventListener('abort', onAbort)
      if (code !== 0) fail(code === null ? `was ended by ${signal}` : `ended with code ${code}`)
      if (failure === undefined) resolve(output)
      else reject(failure)
    })
  })
}
