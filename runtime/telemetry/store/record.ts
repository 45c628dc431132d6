import { crc32 } from 'node:zlib'

/** magic (2 bytes), length of the body (4, LE), CRC-32 of length and body (4, LE), body: sequence number (8, LE) and the record. */
const MAGIC = 0x5250
const HEAD = 10
const SEQ = 8
/** A turn record is some 500 bytes. What claims more is not ours. */
export const MAX_BODY = 64 * 1024

export interface Stored {
  readonly seq: number
  readonly body: Buffer
}

export function encodeRecord(seq: number, body: Uint8Array): Buffer {
  if (body.length > MAX_BODY) throw new RangeError(`a record of ${body.length} bytes; at most ${MAX_BODY}`)
  const out = Buffer.allocUnsafe(HEAD + SEQ + body.length)
  out.writeUInt16LE(MAGIC, 0)
  out.writeUInt32LE(SEQ + body.length, 2)
  out.writeBigUInt64LE(BigInt(seq), HEAD)
  out.set(body, HEAD + SEQ)
  out.writeUInt32LE(checksum(out), 6)
  return out
}

const checksum = (record: Buffer): number => crc32(record.subarray(HEAD), crc32(record.subarray(2, 6)))

/** All whole records in these bytes, and where the last of them ends. What is torn or damaged is stepped over. */
export function scanRecords(bytes: Buffer): { records: Stored[]; end: number; damaged: number } {
  const records: Stored[] = []
  let at = 0
  let end = 0
  let damaged = 0
  while (at + HEAD + SEQ <= bytes.length) {
    const record = readAt(bytes, at)
    if (record) {
      records.push({ seq: Number(record.readBigUInt64LE(HEAD)), body: record.subarray(HEAD + SEQ) })
      at += record.length
      end = at
      continue
    }
    if (at === end) damaged++ // one hole, however many bytes it has
    at = bytes.indexOf('PR', at + 1, 'latin1')
    if (at < 0) break
  }
  if (end < bytes.length && at === end) damaged++ // too few bytes for a head
  return { records, end, damaged }
}

function readAt(bytes: Buffer, at: number): Buffer | undefined {
  if (bytes.readUInt16LE(at) !== MAGIC) return undefined
  const length = bytes.readUInt32LE(at + 2)
  if (length < SEQ || length > SEQ + MAX_BODY || at + HEAD + length > bytes.length) return undefined
  const record = bytes.subarray(at, at + HEAD + length)
  return record.readUInt32LE(6) === checksum(record) ? record : undefined
}
