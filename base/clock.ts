import { setTimeout as delay } from 'node:timers/promises'

/** Time, injected. `now` is monotonic ms for durations; `wall` is Unix ms, only for records that people read. */
export interface Clock {
  now(): number
  wall(): number
  /** Resolves after `ms`; rejects with the signal's reason when aborted. */
  sleep(ms: number, signal?: AbortSignal): Promise<void>
}

export const systemClock: Clock = {
  now: () => performance.now(),
  wall: () => Date.now(),
  sleep: async (ms, signal) => {
    try {
      await delay(Math.max(0, ms), undefined, signal ? { signal } : {})
    } catch (error) {
      throw signal?.aborted ? signal.reason : error
    }
  },
}

/** Waits `ms`, or until the signal, whichever comes first; never rejects. For loops that look at their signal next. */
export function pause(clock: Clock, ms: number, signal?: AbortSignal): Promise<void> {
  return clock.sleep(ms, signal).catch(() => {})
}

interface Sleeper {
  readonly due: number
  readonly wake: () => void
}

/** A clock that moves only when told to: for tests and for `--pace fast`. */
export class ManualClock implements Clock {
  #now: number
  #sleepers: Sleeper[] = []

  constructor(start = 0) {
    this.#now = start
  }

  now(): number {
    return this.#now
  }

  wall(): number {
    return this.#now
  }

  sleep(ms: number, signal?: AbortSignal): Promise<void> {
    return new Promise((resolve, reject) => {
      if (signal?.aborted) return reject(signal.reason)
      const sleeper: Sleeper = { due: this.#now + ms, wake: done }
      const onAbort = (): void => {
        this.#sleepers = this.#sleepers.filter(s => s !== sleeper)
        reject(signal?.reason)
      }
      function done(): void {
        signal?.removeEventListener('abort', onAbort)
        resolve()
      }
      signal?.addEventListener('abort', onAbort, { once: true })
      this.#sleepers.push(sleeper)
    })
  }

  /** Moves time forward and wakes, in order, all whose time has come; lets their continuations run in between. */
  async advance(ms: number): Promise<void> {
    const end = this.#now + ms
    for (;;) {
      const next = this.#sleepers.filter(s => s.due <= end).sort((a, b) => a.due - b.due)[0]
      if (!next) break
      this.#sleepers = this.#sleepers.filter(s => s !== next)
      this.#now = Math.max(this.#now, next.due)
      next.wake()
      await new Promise<void>(resolve => setImmediate(resolve))
    }
    this.#now = end
  }
}
