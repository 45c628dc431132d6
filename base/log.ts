import pino, { type Logger } from 'pino'

export type { Logger }

/** JSON lines on stderr. Never a transcript, never audio, never a secret: those keys are cut out wherever they stand. */
export function createLog(level = process.env['PARLEY_LOG'] ?? 'info'): Logger {
  const secret = ['password', 'token', 'key', 'secret', 'text', 'words', 'audio', 'samples']
  return pino(
    { level, base: null, redact: { paths: secret.flatMap(k => [k, `*.${k}`]), censor: '[hidden]' } },
    pino.destination({ dest: 2, sync: true }),
  )
}
