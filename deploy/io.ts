import { realpathSync } from 'node:fs'
import { fileURLToPath } from 'node:url'

/** What a command of `deploy` needs from its surroundings; injected, so that tests can look at it. */
export interface Io {
  /** A line on the standard output. */
  out(line: string): void
  /** Unix ms. */
  wall(): number
}

export const processIo: Io = { out: line => void process.stdout.write(`${line}\n`), wall: () => Date.now() }

/** Whether this module is the program that node was started with; also through a link, as in `/opt/parley/current/…`. */
export function isProgram(url: string, started = process.argv[1]): boolean {
  try {
    return started !== undefined && realpathSync(started) === fileURLToPath(url)
  } catch {
    return false // started from a text, not from a file
  }
}
