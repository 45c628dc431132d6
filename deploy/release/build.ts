import { createHash } from 'node:crypto'
import { createWriteStream } from 'node:fs'
import { mkdir, rename, stat } from 'node:fs/promises'
import { join } from 'node:path'
import { Readable } from 'node:stream'
import { pipeline } from 'node:stream/promises'
import { createGzip } from 'node:zlib'
import { ParleyError } from '../../base/errors.js'
import { tar, walk, type TarEntry } from '../tar/write.js'
import { parseManifest, type Manifest, type Part } from '../update/manifest.js'

export interface Recipe {
  readonly version: string
  readonly sequence: number
  readonly arch: Manifest['arch']
  /** Folder in the release → folder on this machine. */
  readonly parts: Readonly<Record<string, string>>
}

/**
 * Packs the parts into `<repo>/blobs/<hash>` and gives the manifest. The same input and the same Node give the same bytes: no
 * times, owners or orders of the file system go in (zlib's output may differ from one Node to another).
 */
export async function build(recipe: Recipe, repo: string): Promise<{ bytes: Buffer; manifest: Manifest }> {
  const blobs = join(repo, 'blobs')
  await mkdir(blobs, { recursive: true })
  const parts: Part[] = []
  for (const [folder, from] of Object.entries(recipe.parts).sort(([a], [b]) => (a < b ? -1 : 1))) parts.push({ folder, ...(await pack(from, blobs)) })
  const bytes = Buffer.from(`${JSON.stringify({ schema: 1, version: recipe.version, sequence: recipe.sequence, arch: recipe.arch, parts }, undefined, 1)}\n`)
  return { bytes, manifest: parseManifest(bytes) }
}

async function pack(from: string, blobs: string): Promise<Omit<Part, 'folder'>> {
  if (!(await stat(from).catch(() => undefined))?.isDirectory()) throw new ParleyError('release-no-folder', `${from} is not a folder`)
  let unpackedBytes = 0
  const counted = async function* (): AsyncGenerator<TarEntry> {
    for await (const entry of walk(from)) {
      unpackedBytes += entry.content?.length ?? 0
      yield entry
    }
  }
  const hash = createHash('sha256')
  const temp = join(blobs, `.packing-${process.pid}`)
  const gzip = createGzip({ level: 6 })
  gzip.on('data', (chunk: Buffer) => hash.update(chunk))
  await pipeline(Readable.from(tar(counted())), gzip, createWriteStream(temp))
  const sha256 = hash.digest('hex')
  const bytes = (await stat(temp)).size
  await rename(temp, join(blobs, sha256))
  return { sha256, bytes, unpackedBytes }
}
