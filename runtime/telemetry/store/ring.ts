import { mkdir, readFile, rm } from 'node:fs/promises'
import { join } from 'node:path'
import { writeFileAtomic, syncFolder } from '../../../base/files.js'
import { Acked } from './acked.js'
import { MAX_BODY, encodeRecord, type Stored } from './record.js'
import { openSegments, readSegment, SegmentWriter, type Segment } from './segment.js'

export interface RingLimits {
  /** Most bytes on disk; then the oldest file goes, and what was not sent of it is counted. */
  readonly bytes: number
  /** One file. Default: a sixteenth of it all, at most 64 KiB. */
  readonly segmentBytes?: number
}

/** Records that wait in memory while the disk refuses them: some 100 kB. */
const MAX_IN_MEMORY = 256
/** What an atomic replacement of a small file costs a flash: one block of data, one of the folder. */
const CURSOR_BYTES = 8_192

/**
 * A queue on disk, bounded, of records in order.
 *
 * INVARIANTS
 * - `stored` of `append` resolves once the kernel has the record: a killed process loses nothing that was appended. What is `held`
 *   is written with the next `flush` or `sync`, and if it is done before that, never: a flash is not worn by what arrives at once.
 * - `sync` makes all of it durable; a power cut loses what came after the last one.
 * - Numbers have no holes: a hole is a lost record, so the count of losses survives any crash.
 * - A record is handed out until `ack`; after a crash some may come again, never out of order.
 */
export class SegmentRing {
  readonly #folder: string
  readonly #limits: { bytes: number; segmentBytes: number }
  readonly #acked = new Acked()
  #segments: Segment[] = []
  #writer: SegmentWriter | undefined
  #waiting: Stored[] = []
  #flushing: Promise<void> | undefined
  #savingCursor: Promise<void> | undefined
  #nextSeq = 1
  #cache: { segment: Segment; bytes: number; records: Stored[] } | undefined
  #dirty = false
  #cursorDirty = false
  /** A record was done before it was written: a hole that is none. The cursor must say so before a later record is on disk. */
  #skipped = false
  /** False on the first start, or where the file is lost: then nobody knows what came before the oldest record. */
  #cursorRead = false
  /** Lost unsent since the first start: pushed out by newer ones, or damaged on disk. */
  dropped = 0
  /** Times the disk refused. */
  errors = 0
  /** Bytes given to the disk since the start. */
  written = 0

  constructor(folder: string, limits: RingLimits) {
    this.#folder = folder
    this.#limits = { bytes: limits.bytes, segmentBytes: limits.segmentBytes ?? Math.min(64 * 1024, Math.floor(limits.bytes / 16)) }
  }

  /** Reads what is there. Throws only if the folder cannot be made or read. */
  async open(): Promise<void> {
    await mkdir(this.#folder, { recursive: true, mode: 0o700 })
    await this.#readCursor()
    const found = await openSegments(this.#folder)
    this.#segments = found.segments
    this.#countHoles(found.records.map(r => r.seq))
    this.#nextSeq = Math.max(this.#acked.upTo, this.#segments.at(-1)?.last ?? 0) + 1
    await this.saveCursor()
  }

  /** Records that are not sent yet. */
  get pending(): number {
    return this.#nextSeq - 1 < this.#oldest() ? 0 : this.#acked.missing(this.#oldest(), this.#nextSeq - 1)
  }

  /**
   * Adds a record of at most 64 kB. Its number is known at once, so that sending need not wait for the disk; `stored` resolves once
   * the kernel has it, or the disk refused and memory keeps it, or at once for one that is held. `stored` never rejects.
   */
  append(body: Uint8Array, held = false): { seq: number; stored: Promise<void> } {
    if (body.length > MAX_BODY) throw new RangeError(`a record of ${body.length} bytes; at most ${MAX_BODY}`)
    const seq = this.#nextSeq++
    this.#waiting.push({ seq, body: Buffer.from(body) })
    return { seq, stored: held ? Promise.resolve() : this.flush() }
  }

  /** The oldest records that are not done and that `skip` does not name, in order. */
  async oldest(count: number, skip: (seq: number) => boolean = () => false): Promise<Stored[]> {
    const out: Stored[] = []
    const wanted = (r: Stored): boolean => !this.#acked.has(r.seq) && !skip(r.seq)
    for (const segment of this.#segments) {
      if (out.length >= count) break
      if (this.#acked.missing(segment.first, segment.last) === 0) continue
      out.push(...(await this.#recordsOf(segment)).filter(wanted))
    }
    return [...out, ...this.#waiting.filter(wanted)].slice(0, count)
  }

  /** The record has arrived. */
  ack(seq: number): void {
    this.#acked.add(seq)
    const left = this.#waiting.filter(r => r.seq !== seq)
    if (left.length < this.#waiting.length) this.#skipped = true
    if (left.length === this.#waiting.length || this.#flushing) this.#cursorDirty = true
    this.#waiting = left
  }

  /** Makes what was appended durable, if any of it still waits to be sent: what has arrived needs no flash. */
  async sync(): Promise<void> {
    await this.flush()
    if (!this.#dirty || this.pending === 0) return
    await this.#try(async () => {
      await this.#writer?.sync()
      this.#dirty = false
    })
  }

  /** Remembers what has arrived, so that it is not sent twice; frees files. */
  async saveCursor(): Promise<void> {
    if (this.#cursorDirty) await this.#try(() => this.#writeCursor())
    await this.#dropDone() // after the cursor: else a crash between the two would take what has arrived for lost
  }

  async close(): Promise<void> {
    await this.sync()
    await this.saveCursor()
    await this.#writer?.close()
    this.#writer = undefined
  }

  /** Writes what waits in memory, in one write. One at a time. */
  async flush(): Promise<void> {
    while (this.#flushing) await this.#flushing
    if (this.#waiting.length === 0) return
    this.#flushing = this.#write().finally(() => { this.#flushing = undefined })
    await this.#flushing
  }

  async #write(): Promise<void> {
    const batch = [...this.#waiting]
    const bytes = Buffer.concat(batch.map(r => encodeRecord(r.seq, r.body)))
    const [first, last] = [batch[0]!.seq, batch.at(-1)!.seq]
    const done = await this.#try(async () => {
      if (this.#skipped) await this.#writeCursor()
      await (await this.#writerFor(first, bytes.length)).append(bytes, last)
    })
    if (done) {
      this.#waiting = this.#waiting.filter(r => r.seq > last)
      this.#dirty = true
      this.written += bytes.length
    }
    while (this.#waiting.length > MAX_IN_MEMORY) this.#lose(this.#waiting.shift()!.seq)
  }

  /** One at a time, or an older one could be the last. Throws what the disk says. */
  async #writeCursor(): Promise<void> {
    while (this.#savingCursor) await this.#savingCursor.catch(() => {}) // its own caller is told
    this.#cursorDirty = this.#skipped = false
    const text = JSON.stringify({ ...this.#acked.toJSON(), dropped: this.dropped })
    this.#savingCursor = writeFileAtomic(join(this.#folder, 'cursor.json'), text, 0o600)
    try {
      await this.#savingCursor
      this.written += CURSOR_BYTES
    } catch (error) {
      this.#cursorDirty = this.#skipped = true
      throw error
    } finally {
      this.#savingCursor = undefined
    }
  }

  async #writerFor(first: number, bytes: number): Promise<SegmentWriter> {
    const current = this.#segments.at(-1)
    if (!this.#writer && current && current.bytes + bytes <= this.#limits.segmentBytes) this.#writer = await SegmentWriter.resume(current)
    if (this.#writer && this.#writer.segment.bytes + bytes <= this.#limits.segmentBytes) return this.#writer
    if (this.#writer) {
      if (this.pending > 0) await this.#writer.sync()
      await this.#writer.close()
      this.#writer = undefined
    }
    await this.#makeRoom(bytes)
    this.#writer = await SegmentWriter.create(this.#folder, first)
    this.#segments.push(this.#writer.segment)
    await syncFolder(this.#folder)
    return this.#writer
  }

  /** A whole new file must fit, so that the limit holds at every byte. */
  async #makeRoom(bytes: number): Promise<void> {
    const size = (): number => this.#segments.reduce((sum, s) => sum + s.bytes, 0)
    while (this.#segments.length > 0 && size() + Math.max(bytes, this.#limits.segmentBytes) > this.#limits.bytes) {
      const gone = this.#segments.shift()!
      this.dropped += this.#acked.missing(gone.first, gone.last)
      this.#acked.skipTo(gone.last)
      this.#cursorDirty = true
      await this.saveCursor()
      await rm(gone.path, { force: true })
    }
  }

  #lose(seq: number): void {
    this.dropped++
    this.#acked.add(seq)
    this.#cursorDirty = true
  }

  async #dropDone(): Promise<void> {
    const done = this.#segments.filter(s => s !== this.#writer?.segment && this.#acked.missing(s.first, s.last) === 0)
    for (const segment of done) await this.#try(() => rm(segment.path, { force: true }))
    this.#segments = this.#segments.filter(s => !done.includes(s))
  }

  #oldest(): number {
    return this.#acked.upTo + 1
  }

  async #recordsOf(segment: Segment): Promise<Stored[]> {
    if (this.#cache?.segment === segment && this.#cache.bytes === segment.bytes) return this.#cache.records
    const bytes = segment.bytes
    const records = await readSegment(segment).catch(() => []) // dropped under our feet, or the disk is broken
    this.#cache = { segment, bytes, records }
    return records
  }

  async #readCursor(): Promise<void> {
    try {
      const saved = JSON.parse(await readFile(join(this.#folder, 'cursor.json'), 'utf8')) as { upTo: number; above: [number, number][]; dropped: number }
      this.#acked.restore(saved)
      if (Number.isSafeInteger(saved.dropped)) this.dropped = saved.dropped
      this.#cursorRead = true
    } catch {
      this.#cursorDirty = true // the first start, or a lost file: all is sent again, and ids show it
    }
  }

  #countHoles(seqs: readonly number[]): void {
    let expected = this.#acked.upTo + 1
    for (const seq of seqs) {
      if (seq < expected) continue
      if (seq > expected && (this.#cursorRead || expected > 1)) this.dropped += this.#acked.missing(expected, seq - 1)
      if (expected === this.#acked.upTo + 1) this.#acked.skipTo(seq - 1)
      else for (let hole = expected; hole < seq; hole++) this.#acked.add(hole)
      expected = seq + 1
    }
  }

  async #try(work: () => Promise<unknown>): Promise<boolean> {
    try {
      await work()
      return true
    } catch {
      this.errors++ // a full or broken disk must not reach the conversation; the count is a metric
      return false
    }
  }
}
