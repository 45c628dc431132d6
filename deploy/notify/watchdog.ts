import { pause, type Clock } from '../../base/clock.js'
import { statusLine, type Notifier } from './notify.js'

/** A part that proves by its own stamps that it gets on. The same shape as `runtime/health`'s. */
export interface Progress {
  readonly name: string
  /** Longer without progress is a stall, ms. */
  readonly limitMs: number
  /** Monotonic ms of the last thing that proves work: a frame captured, a step made, sound played. */
  lastProgressAt(): number
}

/** Pings for each half of systemd's limit, as sd_watchdog_enabled(3) advises, and once more: a late timer costs nothing. */
const PINGS_A_LIMIT = 4

/**
 * Feeds systemd's watchdog only while every part gets on. A ping from a bare timer would prove that the event loop turns, and
 * a device can be deaf with a turning event loop.
 */
export class Watchdog {
  readonly #notifier: Notifier
  readonly #clock: Clock
  readonly #parts: readonly Progress[]
  #stalled = ''

  constructor(notifier: Notifier, clock: Clock, parts: readonly Progress[]) {
    this.#notifier = notifier
    this.#clock = clock
    this.#parts = parts
  }

  /** Sound is live. */
  ready(): void {
    this.#notifier.send('READY=1', statusLine('listening'))
  }

  stopping(): void {
    this.#notifier.send('STOPPING=1')
  }

  /** More time for the start or the stop, from now on: an engine is being built. To be repeated while it gets on. */
  extend(ms: number, what: string): void {
    this.#notifier.send(`EXTEND_TIMEOUT_USEC=${Math.round(ms * 1_000)}`, statusLine(what))
  }

  /** Pings if all parts got on; says which one did not. */
  look(): readonly string[] {
    const now = this.#clock.now()
    const stalled = this.#parts.filter(p => now - p.lastProgressAt() > p.limitMs).map(p => p.name)
    const text = stalled.join(', ')
    const status = text === this.#stalled ? [] : [statusLine(text === '' ? 'listening' : `no progress: ${text}`)]
    this.#stalled = text
    if (stalled.length === 0) this.#notifier.send('WATCHDOG=1', ...status)
    else if (status.length) this.#notifier.send(...status)
    return stalled
  }

  /** `limitMs`: systemd's WATCHDOG_USEC. Ends with the signal. */
  async run(limitMs: number, signal: AbortSignal): Promise<void> {
    while (!signal.aborted) {
      this.look()
      await pause(this.#clock, limitMs / PINGS_A_LIMIT, signal)
    }
  }
}

/** WATCHDOG_USEC in ms, if the watchdog is for this process. */
export function watchdogLimitMs(env: NodeJS.ProcessEnv = process.env, pid = process.pid): number | undefined {
  const limit = Number(env['WATCHDOG_USEC']) / 1_000
  const own = env['WATCHDOG_PID'] === undefined || Number(env['WATCHDOG_PID']) === pid
  return own && limit > 0 ? limit : undefined
}
