import { pause, type Clock } from '../../base/clock.js'
import type { Publisher } from './link/link.js'
import type { Outbox } from './outbox.js'
import type { TelemetryRecord } from './records.js'

/** How often an empty queue is looked at, ms. */
const IDLE_MS = 1_000

export interface Backfilled extends TelemetryRecord {
  readonly kind: string
  readonly historical: true
}

/**
 * Sends what had to wait, oldest first over all kinds, one at a time and at most `perS` a second: with one small message
 * on the way, a live one never waits for more than that.
 */
export class Backfill {
  readonly #boxes: readonly Outbox[]
  readonly #link: Publisher
  readonly #send: (record: Backfilled) => Promise<void>
  readonly #everyMs: number
  readonly #clock: Clock

  constructor(boxes: readonly Outbox[], link: Publisher, perS: number, clock: Clock, send: (record: Backfilled) => Promise<void>) {
    this.#boxes = boxes
    this.#link = link
    this.#send = send
    this.#everyMs = 1_000 / perS
    this.#clock = clock
  }

  /** Until the signal aborts. Never rejects. */
  async run(signal: AbortSignal): Promise<void> {
    while (!signal.aborted) {
      const sent = this.#link.connected && await this.#one()
      await pause(this.#clock, sent ? this.#everyMs : IDLE_MS, signal)
    }
  }

  async #one(): Promise<boolean> {
    const heads = await Promise.all(this.#boxes.map(async box => ({ box, head: await box.oldest() })))
    const next = heads.filter(h => h.head).sort((a, b) => a.head!.record.at - b.head!.record.at)[0]
    if (!next?.head) return false
    try {
      await this.#send({ ...next.head.record, kind: next.box.kind, historical: true })
      next.box.ring.ack(next.head.seq)
      return true
    } catch {
      return false // offline again; it stays where it is
    }
  }
}
