import { posix } from 'node:path'
import { ParleyError } from '../../base/errors.js'

export type TarItem =
  | { readonly kind: 'folder'; readonly name: string }
  | { readonly kind: 'link'; readonly name: string; readonly target: string }
  | { readonly kind: 'file'; readonly name: string; readonly executable: boolean; readonly bytes: number; content(): AsyncIterable<Buffer> }

const BLOCK = 512
/** A pax header holds a name or two, bytes. */
const PAX_LIMIT = 64 * 1024

const wrong = (message: string): ParleyError => new ParleyError('update-tar', message)

/** Reads what `tar/write.ts` writes. Each file's content must be taken before the next item is asked for. */
export async function* untar(chunks: AsyncIterable<Buffer>): AsyncGenerator<TarItem> {
  const source = new Source(chunks)
  const seen = new Set<string>()
  const links = new Set<string>()
  let long: Readonly<Record<string, string>> = {}
  for (;;) {
    const block = await source.take(BLOCK)
    if (block.every(byte => byte === 0)) return
    const size = octal(block, 124, 12)
    if (octal(block, 148, 8) !== checksum(block)) throw wrong('a header of the archive is damaged')
    const type = String.fromCharCode(block[156] ?? 0)
    if (type === 'x') {
      if (size > PAX_LIMIT) throw wrong('a header of the archive is too long')
      long = pax(await source.take(size))
      await source.skip(padding(size))
      continue
    }
    const name = safeName(long['path'] ?? text(block, 0, 100))
    const target = long['linkpath'] ?? text(block, 157, 100)
    long = {}
    // Twice the same name, or a name below a link, could write where the first one points.
    if (seen.has(name)) throw wrong(`${name} stands in the archive twice`)
    if (name.split('/').some((_, i, parts) => links.has(parts.slice(0, i).join('/')))) throw wrong(`${name} lies below a link`)
    seen.add(name)
    if (type === '5') yield { kind: 'folder', name }
    else if (type === '2') {
      const end = posix.normalize(posix.join(posix.dirname(name), target))
      if (target.startsWith('/') || end === '..' || end.startsWith('../')) throw wrong(`the link ${name} leads out of the release`)
      links.add(name)
      yield { kind: 'link', name, target }
    } else if (type === '0') {
      let left = size
      const content = async function* (): AsyncGenerator<Buffer> {
        while (left > 0) {
          const some = await source.some(left)
          left -= some.length
          yield some
        }
      }
      yield { kind: 'file', name, executable: (octal(block, 100, 8) & 0o111) !== 0, bytes: size, content }
      if (left > 0) await source.skip(left)
      await source.skip(padding(size))
    } else throw wrong(`${name} is neither a file, a folder nor a link`)
  }
}

function safeName(name: string): string {
  const parts = name.replace(/\/$/, '').split('/')
  if (parts.some(p => p === '' || p === '.' || p === '..') || name.includes('\0')) throw wrong(`the archive names a path outside itself: ${JSON.stringify(name)}`)
  return parts.join('/')
}

const padding = (size: number): number => (BLOCK - (size % BLOCK)) % BLOCK
const text = (block: Buffer, at: number, length: number): string => block.subarray(at, at + length).toString('utf8').replace(/\0.*$/s, '')

function octal(block: Buffer, at: number, length: number): number {
  const digits = text(block, at, length).trim()
  if (!/^[0-7]+$/.test(digits)) throw wrong('a header of the archive is damaged')
  return Number.parseInt(digits, 8)
}

/** The sum of all bytes, with spaces in place of the sum itself. */
function checksum(block: Buffer): number {
  return block.reduce((sum, byte, i) => sum + (i >= 148 && i < 156 ? 0x20 : byte), 0)
}

function pax(bytes: Buffer): Record<string, string> {
  const records: Record<string, string> = {}
  for (let at = 0; at < bytes.length; ) {
    const length = Number.parseInt(bytes.subarray(at).toString('latin1'), 10)
    if (!(length > 4) || at + length > bytes.length) throw wrong('a header of the archive is damaged')
    const record = bytes.subarray(at, at + length - 1).toString('utf8')
    const [, key, value] = /^\d+ ([^=]+)=(.*)$/s.exec(record) ?? []
    if (key !== undefined && value !== undefined) records[key] = value
    at += length
  }
  return records
}

/** Bytes out of chunks of any size. */
class Source {
  readonly #chunks: AsyncIterator<Buffer>
  #rest = Buffer.alloc(0)

  constructor(chunks: AsyncIterable<Buffer>) {
    this.#chunks = chunks[Symbol.asyncIterator]()
  }

  /** At least one byte and at most `limit`. */
  async some(limit: number): Promise<Buffer> {
    while (this.#rest.length === 0) {
      const { done, value } = await this.#chunks.next()
      if (done) throw wrong('the archive ends too early')
      this.#rest = Buffer.from(value)
    }
    const out = this.#rest.subarray(0, limit)
    this.#rest = this.#rest.subarray(out.length)
    return out
  }

  async take(bytes: number): Promise<Buffer> {
    const parts: Buffer[] = []
    for (let left = bytes; left > 0; ) {
      const some = await this.some(left)
      parts.push(some)
      left -= some.length
    }
    return Buffer.concat(parts)
  }

  async skip(bytes: number): Promise<void> {
    for (let left = bytes; left > 0; ) left -= (await this.some(left)).length
  }
}
