import pino, { type Logger } from 'pino'

export type { Logger }

/** Lines that are kept for those who ask for them from afar. */
const KEPT = 500

/** The last lines of a log, newest last. */
export class LogTail {
  readonly #lines: string[] = []

  add(line: string): void {
    this.#lines.push(line.trimEnd())
    if (this.#lines.length > KEPT) this.#lines.shift()
  }

  last(count: number): string[] {
    return this.#lines.slice(-count)
  }
}

/** JSON lines on stderr, and on `tail`. Never a transcript, never audio, never a secret: those keys are cut out wherever they stand. */
export function createLog(level = process.env['PARLEY_LOG'] ?? 'info', tail?: LogTail): Logger {
  const secret = ['password', 'token', 'key', 'secret', 'text', 'words', 'audio', 'samples']
  const stderr = pino.destination({ dest: 2, sync: true })
  return pino(
    { level, base: null, redact: { paths: secret.flatMap(k => [k, `*.${k}`]), censor: '[hidden]' } },
    tail ? { write: line => { stderr.write(line); tail.add(line) } } : stderr,
  )
}
