import { parseArgs, type ParseArgsConfig } from 'node:util'
import { ParleyError } from '../../base/errors.js'

/** What every command ends with (`parley --help` lists them). */
export const EXIT = {
  ok: 0,
  /** It ran, and what it looked at is not as it should be: a turn, a check. */
  failed: 1,
  /** The command line is wrong. */
  usage: 2,
  /** A file that was given is wrong: configuration, WAV, facts. */
  badInput: 3,
  /** Something is missing on this machine: a device, a program, a package. */
  missing: 4,
  /** Our own fault. */
  internal: 5,
  /** The bundle is missing, damaged, or not one that this version understands. */
  damagedBundle: 6,
  /** The bundle is whole, and its model does not run here or does not answer as it was built to. */
  modelFails: 7,
  /** It wants to be started again: a restart that was asked for from afar. */
  again: 75,
  /** Ctrl-C or SIGTERM before it was done. */
  interrupted: 130,
} as const

export interface Command {
  readonly summary: string
  readonly help: string
  run(args: readonly string[]): Promise<number>
}

const BAD_INPUT = /^(bad-config|config-|wav-|events-|secret-|facts-|tick-|unknown-driver|no-mqtt)/
const MISSING = /^(missing-|device-|sound-server)/
const MODEL_FAILS = /^(no-provider|engine-dead|golden-failed)$/

export function exitCodeOf(error: unknown): number {
  if (!(error instanceof ParleyError)) return EXIT.internal
  if (error.code === 'usage') return EXIT.usage
  if (BAD_INPUT.test(error.code)) return EXIT.badInput
  if (MISSING.test(error.code)) return EXIT.missing
  if (error.code.startsWith('bundle-')) return EXIT.damagedBundle
  if (MODEL_FAILS.test(error.code)) return EXIT.modelFails
  return EXIT.internal
}

/** The options of one command; throws `usage` for what it does not know. */
export function parse<T extends NonNullable<ParseArgsConfig['options']>>(args: readonly string[], options: T): ReturnType<typeof parseArgs<{ args: string[]; options: T; strict: true; allowPositionals: false }>>['values'] {
  try {
    return parseArgs({ args: [...args], options, strict: true, allowPositionals: false }).values
  } catch (cause) {
    throw usage(cause instanceof Error ? cause.message : String(cause))
  }
}

export function usage(message: string): ParleyError {
  return new ParleyError('usage', message, { hint: 'See --help' })
}

export function say(text: string): void {
  process.stdout.write(`${text}\n`)
}

/** Columns as wide as their widest cell; numbers to the right. */
export function table(head: readonly string[], rows: readonly (readonly (string | number | null)[])[]): string {
  const cells = [head, ...rows.map(row => row.map(cell => (cell === null ? '–' : String(cell))))]
  const widths = head.map((_, i) => Math.max(...cells.map(row => [...(row[i] ?? '')].length)))
  const right = head.map((_, i) => rows.length > 0 && rows.every(row => typeof row[i] === 'number' || row[i] === null))
  const line = (row: readonly string[]): string => row.map((cell, i) => (right[i] ? cell.padStart(widths[i] ?? 0) : cell.padEnd(widths[i] ?? 0))).join('  ').trimEnd()
  return [line(cells[0] ?? []), widths.map(w => '─'.repeat(w)).join('  '), ...cells.slice(1).map(line)].join('\n')
}

/** Aborts with the first Ctrl-C or SIGTERM; a second one ends the process at once. */
export function untilSignal(): AbortController {
  const closing = new AbortController()
  const onSignal = (): void => {
    if (closing.signal.aborted) process.exit(EXIT.interrupted)
    closing.abort(new ParleyError('interrupted', 'stopped by a signal'))
  }
  process.on('SIGINT', onSignal)
  process.on('SIGTERM', onSignal)
  return closing
}

/** Takes SIGUSR2 from now on, which would end the process otherwise. What is given it in the end is told of one that came before, too. */
export class StopSignal {
  #came = false
  #act: (() => void) | undefined

  constructor() {
    process.on('SIGUSR2', () => {
      this.#came = true
      this.#act?.()
    })
  }

  whenever(act: () => void): void {
    this.#act = act
    if (this.#came) act()
  }
}
