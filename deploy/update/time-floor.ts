import type { Disk } from './disk.js'
import { writeAtomic } from './atomic.js'

/** Nothing that this code is told to trust was signed before it was written: 2025-01-01. */
const OLDEST = Date.UTC(2025, 0, 1)

/**
 * The time against which signatures expire. A clock that is set back must not make an old, frozen release look fresh; so it is
 * never earlier than the last time that was known to be good. Only a synchronised clock may raise it: one bad minute with the
 * year 2099 would otherwise expire everything for ever.
 */
export class TimeFloor {
  readonly #disk: Disk
  readonly #path: string

  constructor(disk: Disk, path: string) {
    this.#disk = disk
    this.#path = path
  }

  async now(wall: number): Promise<Date> {
    return new Date(Math.max(wall, await this.#floor()))
  }

  /** `synchronised`: the system's time service says so. */
  async raise(wall: number, synchronised: boolean): Promise<void> {
    if (synchronised && wall > (await this.#floor())) await writeAtomic(this.#disk, this.#path, `${wall}\n`)
  }

  async #floor(): Promise<number> {
    const saved = Number((await this.#disk.read(this.#path))?.toString('utf8').trim())
    return Number.isFinite(saved) && saved > OLDEST ? saved : OLDEST
  }
}
