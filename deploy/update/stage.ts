import { dirname, join } from 'node:path'
import { Readable } from 'node:stream'
import { createGunzip } from 'node:zlib'
import { ParleyError } from '../../base/errors.js'
import { untar } from '../tar/read.js'
import { writeAtomic } from './atomic.js'
import type { Disk } from './disk.js'
import { MANIFEST_FILE, type Layout } from './layout.js'
import { parseManifest, releaseHash } from './manifest.js'
import type { Store } from './store.js'

/**
 * Makes a release folder out of the store. Until all of it is on the disk for good it has another name, so a folder in
 * `releases/` whose name is a hash is whole.
 */
export async function stage(disk: Disk, layout: Layout, store: Store, manifestBytes: Buffer): Promise<string> {
  const hash = releaseHash(manifestBytes)
  const final = layout.release(hash)
  if (await disk.stat(final)) return hash
  const { parts } = parseManifest(manifestBytes)
  const temp = join(layout.releases, `.staging-${hash}`)
  await disk.remove(temp)
  await disk.makeFolder(temp)
  const folders = new Set([temp])
  for (const part of parts) {
    // Once more against the hash: the store may have lain there for months.
    if ((await store.hashOf(store.path(part.sha256))) !== part.sha256) {
      await disk.remove(store.path(part.sha256))
      throw new ParleyError('update-damaged', `the stored part ${part.folder} of the release is damaged`, { hint: 'It is fetched again' })
    }
    const into = join(temp, part.folder)
    for (let at = into; at !== temp; at = dirname(at)) folders.add(at)
    await disk.makeFolder(into)
    await unpack(disk, gunzip(disk.chunks(store.path(part.sha256))), into, part.unpackedBytes, folders)
  }
  await writeAtomic(disk, join(temp, MANIFEST_FILE), manifestBytes)
  // The deepest first: a name must not be there for good before what it names.
  for (const folder of [...folders].sort((a, b) => b.length - a.length)) await disk.syncFolder(folder)
  await disk.rename(temp, final)
  await disk.syncFolder(layout.releases)
  return hash
}

async function unpack(disk: Disk, bytes: AsyncIterable<Buffer>, into: string, limit: number, folders: Set<string>): Promise<void> {
  let written = 0
  const enter = async (folder: string): Promise<void> => {
    if (folders.has(folder)) return
    await enter(dirname(folder))
    await disk.makeFolder(folder)
    folders.add(folder)
  }
  for await (const item of untar(bytes)) {
    const path = join(into, item.name)
    await enter(item.kind === 'folder' ? path : dirname(path))
    if (item.kind === 'link') await disk.symlink(item.target, path)
    if (item.kind !== 'file') continue
    await disk.create(path, item.executable ? 0o755 : 0o644)
    for await (const chunk of item.content()) {
      written += chunk.length
      // The free space was checked against what the manifest said.
      if (written > limit) throw new ParleyError('update-tar', `${into} unpacks to more than the ${limit} bytes that were signed`)
      await disk.append(path, chunk)
    }
    await disk.syncFile(path)
  }
}

async function* gunzip(chunks: AsyncIterable<Buffer>): AsyncGenerator<Buffer> {
  const from = Readable.from(chunks)
  const to = createGunzip()
  from.on('error', error => to.destroy(error))
  try {
    for await (const chunk of from.pipe(to)) yield chunk
  } catch (cause) {
    throw cause instanceof ParleyError ? cause : new ParleyError('update-tar', 'a part of the release cannot be unpacked', { cause })
  } finally {
    from.destroy()
    to.destroy()
  }
}
