import { open, readdir, readFile, rm, truncate, type FileHandle } from 'node:fs/promises'
import { join } from 'node:path'
import { scanRecords, type Stored } from './record.js'

/** One file of the ring. Its name is the number of its first record, so that the folder's order is time's order. */
export interface Segment {
  readonly path: string
  readonly first: number
  last: number
  bytes: number
}

const DIGITS = 16
const pathOf = (folder: string, first: number): string => join(folder, `${String(first).padStart(DIGITS, '0')}.seg`)

/** Reads the whole folder; cuts the torn end, which a kill in the middle of a write leaves, off the last file. */
export async function openSegments(folder: string): Promise<{ segments: Segment[]; records: Stored[]; damaged: number }> {
  const names = (await readdir(folder)).filter(name => /^\d{16}\.seg$/.test(name)).sort()
  const segments: Segment[] = []
  const all: Stored[] = []
  let damaged = 0
  for (const name of names) {
    const path = join(folder, name)
    const bytes = await readFile(path)
    const scan = scanRecords(bytes)
    damaged += scan.damaged
    const [first, last] = [scan.records[0], scan.records.at(-1)]
    if (!first || !last) {
      await rm(path, { force: true }) // nothing in it can be read
      continue
    }
    const newest = name === names.at(-1)
    if (newest && scan.end < bytes.length) await truncate(path, scan.end)
    segments.push({ path, first: first.seq, last: last.seq, bytes: newest ? scan.end : bytes.length })
    for (const record of scan.records) all.push({ seq: record.seq, body: Buffer.alloc(0) }) // numbers only: 24 h need not be in memory
  }
  return { segments, records: all, damaged }
}

export async function readSegment(segment: Segment): Promise<Stored[]> {
  return scanRecords(await readFile(segment.path)).records
}

/** The file that is written to. */
export class SegmentWriter {
  readonly segment: Segment
  readonly #file: FileHandle

  private constructor(segment: Segment, file: FileHandle) {
    this.segment = segment
    this.#file = file
  }

  static async create(folder: string, first: number): Promise<SegmentWriter> {
    const path = pathOf(folder, first)
    return new SegmentWriter({ path, first, last: first - 1, bytes: 0 }, await open(path, 'w'))
  }

  static async resume(segment: Segment): Promise<SegmentWriter> {
    return new SegmentWriter(segment, await open(segment.path, 'r+'))
  }

  /** Appends whole records up to number `last`, or, when the disk refuses, leaves the file as it was and throws. */
  async append(bytes: Buffer, last: number): Promise<void> {
    try {
      for (let done = 0; done < bytes.length;) {
        done += (await this.#file.write(bytes, done, bytes.length - done, this.segment.bytes + done)).bytesWritten
      }
    } catch (error) {
      await this.#file.truncate(this.segment.bytes).catch(() => {}) // the next scan cuts it off if this fails too
      throw error
    }
    this.segment.bytes += bytes.length
    this.segment.last = last
  }

  async sync(): Promise<void> {
    await this.#file.datasync()
  }

  async close(): Promise<void> {
    await this.#file.close()
  }
}
