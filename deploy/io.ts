/** What a command of `deploy` needs from its surroundings; injected, so that tests can look at it. */
export interface Io {
  /** A line on the standard output. */
  out(line: string): void
  /** Unix ms. */
  wall(): number
}

export const processIo: Io = { out: line => void process.stdout.write(`${line}\n`), wall: () => Date.now() }
