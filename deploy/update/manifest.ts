import { createHash } from 'node:crypto'
import { z } from 'zod'
import { ParleyError } from '../../base/errors.js'

const sha256 = z.string().regex(/^[0-9a-f]{64}$/, 'a SHA-256 in hex')
/** A folder of a release; never a path out of it. */
const folder = z.string().regex(/^[a-z0-9][a-z0-9_-]{0,31}(\/[a-z0-9][a-z0-9_-]{0,31}){0,3}$/, 'folders in lower-case letters, digits, - and _')

/** One tar of a release. A part that did not change keeps its hash and is not fetched again: the delta that pays most. */
export const part = z.strictObject({
  /** Where it is unpacked, below the release's folder. */
  folder,
  sha256,
  /** Of the packed file. */
  bytes: z.number().int().min(1),
  /** On the disk, unpacked. */
  unpackedBytes: z.number().int().min(0),
})
export type Part = z.infer<typeof part>

/** What one release is: the app and its bundle together, so that they are switched together. */
export const manifest = z.strictObject({
  schema: z.literal(1),
  version: z.string().regex(/^[0-9A-Za-z][0-9A-Za-z.+-]{0,63}$/),
  /** Counts up with every release of a channel. A lower one is a downgrade, and refused. */
  sequence: z.number().int().min(1),
  arch: z.enum(['x64', 'arm64']),
  parts: z.array(part).min(1).max(16),
})
export type Manifest = z.infer<typeof manifest>

export const releaseHash = (bytes: Uint8Array): string => createHash('sha256').update(bytes).digest('hex')

export function parseManifest(bytes: Uint8Array): Manifest {
  let data: unknown
  try {
    data = JSON.parse(Buffer.from(bytes).toString('utf8'))
  } catch (cause) {
    throw new ParleyError('update-manifest', 'the release manifest is not JSON', { cause })
  }
  const found = manifest.safeParse(data)
  if (!found.success) throw new ParleyError('update-manifest', `the release manifest is wrong: ${z.prettifyError(found.error)}`)
  const folders = found.data.parts.map(p => p.folder)
  // One part inside another would make what is unpacked depend on the order.
  const clash = folders.find((a, i) => folders.some((b, j) => i !== j && (b === a || b.startsWith(`${a}/`))))
  if (clash !== undefined) throw new ParleyError('update-manifest', `two parts of the release share the folder ${clash}`)
  return found.data
}
