import { createHash } from 'node:crypto'
import { gzipSync } from 'node:zlib'
import { ParleyError } from '../../base/errors.js'
import { tar, type TarEntry } from '../../deploy/tar/write.js'
import { releaseHash } from '../../deploy/update/manifest.js'
import type { Source } from '../../deploy/update/source.js'

export const sha256 = (bytes: Uint8Array): string => createHash('sha256').update(bytes).digest('hex')

export async function packed(files: Readonly<Record<string, string>>): Promise<{ blob: Buffer; unpackedBytes: number }> {
  const entries: TarEntry[] = Object.entries(files).map(([name, content]) => ({ name, kind: 'file', content: Buffer.from(content) }))
  const parts: Buffer[] = []
  for await (const chunk of tar(entries)) parts.push(chunk)
  return { blob: gzipSync(Buffer.concat(parts)), unpackedBytes: Object.values(files).reduce((sum, c) => sum + Buffer.byteLength(c), 0) }
}

export interface Made {
  readonly hash: string
  readonly manifest: Buffer
  readonly blobs: ReadonlyMap<string, Buffer>
  /** Every file of the release by its path, as it must be once unpacked. */
  readonly files: Readonly<Record<string, string>>
}

/** A whole release out of the contents of its parts. */
export async function makeRelease(sequence: number, parts: Readonly<Record<string, Readonly<Record<string, string>>>>): Promise<Made> {
  const blobs = new Map<string, Buffer>()
  const files: Record<string, string> = {}
  const list = []
  for (const [folder, content] of Object.entries(parts)) {
    const { blob, unpackedBytes } = await packed(content)
    blobs.set(sha256(blob), blob)
    list.push({ folder, sha256: sha256(blob), bytes: blob.length, unpackedBytes })
    for (const [name, text] of Object.entries(content)) files[`${folder}/${name}`] = text
  }
  const manifest = Buffer.from(JSON.stringify({ schema: 1, version: `1.${sequence}`, sequence, arch: 'x64', parts: list }))
  files['.release.json'] = manifest.toString('latin1')
  return { hash: releaseHash(manifest), manifest, blobs, files }
}

/** A server of static files in memory, which counts what it gave. */
export class MemorySource implements Source {
  readonly name = 'memory'
  readonly files = new Map<string, Buffer>()
  given = 0
  asked: { path: string; from: number }[] = []

  constructor(...releases: readonly Made[]) {
    for (const release of releases) for (const [hash, blob] of release.blobs) this.files.set(`blobs/${hash}`, blob)
  }

  async open(path: string, from: number): Promise<{ from: number; chunks: AsyncIterable<Uint8Array> }> {
    this.asked.push({ path, from })
    const bytes = this.files.get(path)
    if (!bytes) throw new ParleyError('update-missing', `${path} does not exist`)
    const source = this
    const chunks = async function* (): AsyncGenerator<Uint8Array> {
      for (let at = from; at < bytes.length; at += 300) {
        const chunk = bytes.subarray(at, at + 300)
        source.given += chunk.length
        yield chunk
      }
    }
    return { from, chunks: chunks() }
  }
}
