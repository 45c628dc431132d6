import { readFile, readdir, lstat, readlink } from 'node:fs/promises'
import { join } from 'node:path'

/** A tar that depends on nothing but names, contents and the executable bit: no times, owners or umask, sorted by bytes. */
export interface TarEntry {
  /** Relative, with `/`. */
  readonly name: string
  readonly kind: 'file' | 'folder' | 'link'
  readonly executable?: boolean
  readonly target?: string
  readonly content?: Uint8Array
}

const BLOCK = 512

/** Everything below a folder, in an order that does not depend on the file system or the locale. */
export async function* walk(folder: string, prefix = ''): AsyncGenerator<TarEntry> {
  const names = (await readdir(join(folder, prefix))).sort((a, b) => Buffer.compare(Buffer.from(a), Buffer.from(b)))
  for (const leaf of names) {
    const name = prefix === '' ? leaf : `${prefix}/${leaf}`
    const path = join(folder, name)
    const found = await lstat(path)
    if (found.isSymbolicLink()) yield { name, kind: 'link', target: await readlink(path) }
    else if (found.isDirectory()) {
      yield { name, kind: 'folder' }
      yield* walk(folder, name)
    } else if (found.isFile()) yield { name, kind: 'file', executable: (found.mode & 0o111) !== 0, content: await readFile(path) }
    // Sockets, pipes and devices are no part of a release.
  }
}

/** POSIX ustar (IEEE Std 1003.1-2001, pax interchange format); a pax header carries names longer than 100 bytes. */
export async function* tar(entries: AsyncIterable<TarEntry> | Iterable<TarEntry>): AsyncGenerator<Buffer> {
  for await (const entry of entries) {
    const long = [
      ...(Buffer.byteLength(entry.name) > 100 ? [paxRecord('path', entry.name)] : []),
      ...(Buffer.byteLength(entry.target ?? '') > 100 ? [paxRecord('linkpath', entry.target ?? '')] : []),
    ].join('')
    if (long !== '') {
      yield header({ name: 'pax', kind: 'file' }, Buffer.byteLength(long), 'x')
      yield padded(Buffer.from(long))
    }
    const content = entry.content ?? Buffer.alloc(0)
    yield header(entry, content.length, { file: '0', folder: '5', link: '2' }[entry.kind])
    if (content.length) yield padded(Buffer.from(content))
  }
  yield Buffer.alloc(2 * BLOCK)
}

function padded(bytes: Buffer): Buffer {
  return Buffer.concat([bytes, Buffer.alloc((BLOCK - (bytes.length % BLOCK)) % BLOCK)])
}

/** Its length counts itself. */
function paxRecord(key: string, value: string): string {
  const rest = Buffer.byteLength(` ${key}=${value}\n`)
  let length = rest + String(rest).length
  if (rest + String(length).length !== length) length = rest + String(length).length
  return `${length} ${key}=${value}\n`
}

function header(entry: TarEntry, size: number, type: string): Buffer {
  const block = Buffer.alloc(BLOCK)
  const octal = (value: number, at: number, length: number): void => void block.write(value.toString(8).padStart(length - 1, '0') + '\0', at, 'latin1')
  block.write(entry.name.slice(0, 100), 0, 100, 'utf8')
  octal(entry.kind === 'folder' || entry.executable ? 0o755 : 0o644, 100, 8)
  octal(0, 108, 8)
  octal(0, 116, 8)
  octal(size, 124, 12)
  octal(0, 136, 12)
  block.write('        ', 148, 'latin1')
  block.write(type, 156, 'latin1')
  block.write((entry.target ?? '').slice(0, 100), 157, 100, 'utf8')
  block.write('ustar\0' + '00', 257, 'latin1')
  octal(block.reduce((sum, byte) => sum + byte, 0), 148, 7)
  block.write(' ', 155, 'latin1')
  return block
}
