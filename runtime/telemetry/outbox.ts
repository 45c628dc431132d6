import type { Publisher } from './link/link.js'
import type { Kind, TelemetryRecord } from './records.js'
import type { SegmentRing } from './store/ring.js'

/** Live records that wait for their answer; more go to the disk only, and come as backfill. */
const MAX_LIVE = 32

/**
 * Records of one kind. While there is a broker they are on their way at once, and on disk only if they have not arrived by the ring's
 * next `sync` or the link is lost; without one they are on disk at once, for the backfill.
 */
export class Outbox {
  readonly kind: Kind
  readonly ring: SegmentRing
  readonly #topic: string
  readonly #link: Publisher
  readonly #live = new Set<number>()

  constructor(kind: Kind, ring: SegmentRing, topic: string, link: Publisher) {
    this.kind = kind
    this.ring = ring
    this.#topic = topic
    this.#link = link
  }

  /** Resolves when it is stored or on its way, not when it has arrived. Never rejects. */
  async add(record: TelemetryRecord): Promise<void> {
    const text = JSON.stringify(record)
    const goes = this.#link.connected && this.#live.size < MAX_LIVE
    const { seq, stored } = this.ring.append(Buffer.from(text), goes)
    if (goes) void this.#send(seq, text)
    await stored
  }

  /** The oldest record that nobody is sending. */
  async oldest(): Promise<{ seq: number; record: TelemetryRecord } | undefined> {
    for (;;) {
      const [stored] = await this.ring.oldest(1, seq => this.#live.has(seq))
      if (!stored) return undefined
      const record = parse(stored.body)
      if (record) return { seq: stored.seq, record }
      this.ring.ack(stored.seq) // whole by its checksum, and still not ours: a folder of another version
    }
  }

  get waiting(): number {
    return Math.max(0, this.ring.pending - this.#live.size)
  }

  async #send(seq: number, text: string): Promise<void> {
    this.#live.add(seq)
    try {
      await this.#link.publish(this.#topic, text, { qos: 1 })
      this.ring.ack(seq)
    } catch {
      await this.ring.flush() // from there the backfill takes it
    } finally {
      this.#live.delete(seq)
    }
  }
}

function parse(body: Buffer): TelemetryRecord | undefined {
  try {
    const value: unknown = JSON.parse(body.toString('utf8'))
    const whole = typeof value === 'object' && value !== null && 'at' in value && typeof value.at === 'number' && 'id' in value
    return whole ? (value as TelemetryRecord) : undefined
  } catch {
    return undefined
  }
}
