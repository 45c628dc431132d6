import { readFile, rm } from 'node:fs/promises'
import { join } from 'node:path'
import { writeFileAtomic } from '../../base/files.js'
import type { TelemetryRecord } from './records.js'

/** Ms. While there is no broker, the state on disk is this much behind: 144 small writes a day. */
const EVERY_MS = 600_000

/** The last state of a time without a broker. Only one is kept, and it is kept only if nobody has heard a later one. */
export class LastState {
  readonly #path: string
  #at = -Infinity

  constructor(folder: string) {
    this.#path = join(folder, 'last-state.json')
  }

  /** What an earlier process could not send. */
  async load(): Promise<TelemetryRecord | undefined> {
    try {
      return JSON.parse(await readFile(this.#path, 'utf8')) as TelemetryRecord
    } catch {
      return undefined // none, or one that nobody can read: it is only the state of the past
    }
  }

  async keep(record: TelemetryRecord, now: number): Promise<void> {
    if (now - this.#at < EVERY_MS) return
    this.#at = now
    await writeFileAtomic(this.#path, JSON.stringify(record), 0o600).catch(() => {}) // a full disk; the store counts those
  }

  async forget(): Promise<void> {
    await rm(this.#path, { force: true }).catch(() => {})
  }
}
