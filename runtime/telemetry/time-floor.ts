import { existsSync } from 'node:fs'
import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
import type { Clock } from '../../base/clock.js'
import { writeFileAtomic } from '../../base/files.js'

/** Written so often: a device that was off for a day is at most this much further behind. Flash does not mind 24 writes a day. */
const SAVE_EVERY_MS = 3_600_000
/** No device of ours ran before this: 2025-01-01. */
const OLDEST = Date.UTC(2025, 0, 1)
/** Nor after this: a clock that says 2099 is as wrong as one that says 1970. */
const NEWEST = Date.UTC(2045, 0, 1)
/** systemd-timesyncd makes it once a time server has answered. */
const SYNCHRONISED = '/run/systemd/timesync/synchronized'

/**
 * Wall time that never goes back behind the last good time: a clock set to 1970 gives records that still stand in order,
 * marked as not trusted. A clock that a time server has set is right, and lowers a floor that a wrong one had raised.
 * It repairs records only; TLS looks at the system's clock and waits until that is right.
 */
export class TimeFloor {
  readonly #clock: Clock
  readonly #path: string
  #floor = OLDEST
  /** Monotonic time at which the floor held. */
  #since: number
  #savedAt = 0
  readonly #synchronised: () => boolean

  constructor(clock: Clock, folder: string, synchronised = (): boolean => existsSync(SYNCHRONISED)) {
    this.#clock = clock
    this.#synchronised = synchronised
    this.#path = join(folder, 'last-good-time')
    this.#since = clock.now()
  }

  async open(): Promise<void> {
    const saved = Number(await readFile(this.#path, 'utf8').catch(() => '')) // a lost file costs nothing but the floor
    if (Number.isFinite(saved) && saved > this.#floor) this.#floor = saved
    this.#since = this.#clock.now()
  }

  /** False while the system's clock is behind what we know has passed, or nowhere near our time. */
  get trusted(): boolean {
    const wall = this.#clock.wall()
    return (wall >= this.#floor && wall < NEWEST) || this.#synchronised()
  }

  /** Unix ms. */
  wall(): number {
    const wall = this.#clock.wall()
    return this.trusted ? wall : Math.round(this.#floor + (this.#clock.now() - this.#since))
  }

  /** To be called now and then; writes at most once an hour, and never fails. */
  async keep(): Promise<void> {
    if (!this.trusted) return
    const wall = this.#clock.wall()
    if (wall - this.#savedAt < SAVE_EVERY_MS) return
    this.#savedAt = wall
    this.#floor = wall
    this.#since = this.#clock.now()
    await writeFileAtomic(this.#path, String(wall)).catch(() => {}) // a full disk; the store counts those
  }
}
