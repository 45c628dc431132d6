import { ManualClock, pause, systemClock, type Clock } from '../../base/clock.js'

export type Pace = 'real' | 'fast'

/** The time of a recording: the real one, or one that moves with the ticks. */
export class RecordingTime {
  readonly clock: Clock
  readonly #manual: ManualClock | undefined

  constructor(pace: Pace) {
    this.#manual = pace === 'fast' ? new ManualClock() : undefined
    this.clock = this.#manual ?? systemClock
  }

  /** Waits until monotonic ms `at`; in fast time it is `at` right away, and all that was due until then has happened. */
  async until(at: number, signal: AbortSignal): Promise<void> {
    const ms = at - this.clock.now()
    if (!this.#manual) {
      if (ms > 0) await pause(this.clock, ms, signal) // aborted: the caller looks
      return
    }
    await settle()
    if (ms > 0) await this.#manual.advance(ms)
    await settle()
  }
}

/** Lets all that is ready run, so that time never passes before what should have happened by then. */
async function settle(): Promise<void> {
  await new Promise<void>(resolve => setImmediate(resolve))
  await new Promise<void>(resolve => setImmediate(resolve))
}
