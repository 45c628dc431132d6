import { z } from 'zod'
import { readJsonIfThere, writeFileAtomic } from '../../base/files.js'
import type { Uptime } from '../../base/uptime.js'

/** Neither a storm of questions nor a device that is never heard of again, ms. */
const LEAST_MS = 30_000
const MOST_MS = 86_400_000
/** hawkBit's own, where the server says nothing that can be read. */
const DEFAULT_MS = 300_000
const kept = z.object({ boot: z.string(), atMs: z.number() })

/** hawkBit's `config.polling.sleep`, such as `00:05:00`, in ms within the limits. */
export function sleepMs(text: string): number {
  const [, h, m, s] = /^(\d{1,4}):(\d{1,4}):(\d{1,4})$/.exec(text) ?? []
  if (h === undefined) return DEFAULT_MS
  return Math.min(Math.max(((Number(h) * 60 + Number(m)) * 60 + Number(s)) * 1_000, LEAST_MS), MOST_MS)
}

/** When the server wants to be asked again: over processes, but not over a start of the machine, and by no clock that is set. */
export class PollPace {
  readonly #path: string
  readonly #uptime: () => Uptime

  constructor(path: string, uptime: () => Uptime) {
    this.#path = path
    this.#uptime = uptime
  }

  /** Ms until then; 0: now, also where what was written makes no sense. */
  async leftMs(): Promise<number> {
    const found = kept.safeParse(await readJsonIfThere(this.#path).catch(() => undefined))
    const { boot, ms } = this.#uptime()
    if (!found.success || found.data.boot !== boot) return 0
    const left = found.data.atMs - ms
    return left > 0 && left <= MOST_MS ? left : 0
  }

  /** A disk that refuses only means that it is asked with every run. */
  async rest(ms: number): Promise<void> {
    const { boot, ms: now } = this.#uptime()
    await writeFileAtomic(this.#path, JSON.stringify({ boot, atMs: now + ms })).catch(() => {})
  }
}
