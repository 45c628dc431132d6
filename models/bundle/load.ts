import { readFile, realpath, stat } from 'node:fs/promises'
import { join, resolve, sep } from 'node:path'
import type { z } from 'zod'
import { ParleyError, isMissing } from '../../base/errors.js'
import { HashCache, sha256Of } from '../../base/hash-cache.js'
import { crossCheck } from './cross-check.js'
import { MAX_BUNDLE_BYTES, MAX_FILES, MAX_GOLDEN_BYTES, MAX_MANIFEST_BYTES, MAX_TOKENIZER_BYTES } from './limits.js'
import { Manifest } from './schema.js'

const RESTORE = 'Copy its folder again from where it came (in a clone of parley: git restore models/pico)'

/** A bundle that was read and checked. Paths are absolute and inside its folder. */
export interface Bundle {
  readonly folder: string
  readonly manifest: Manifest
  /** The absolute path of a file of the manifest. */
  path(file: string): string
}

export interface LoadOptions {
  /** `cached`: hashes that were checked before are trusted while the file is unchanged. `full`: read every byte. */
  readonly verify?: 'cached' | 'full'
  /** Where the checked hashes are kept; default ~/.cache/parley. */
  readonly cacheFolder?: string
}

/** Reads and checks a bundle's folder. Throws `bundle-missing`, `bundle-bad` or `bundle-changed`, with file, field and reason. */
export async function loadBundle(folder: string, options: LoadOptions = {}): Promise<Bundle> {
  const root = await realpath(resolve(folder)).catch((cause: unknown) => {
    throw new ParleyError('bundle-missing', `there is no bundle at ${folder}`, { cause, hint: 'A bundle is a folder with bundle.json in it.' })
  })
  const manifest = parseManifest(await readManifest(root), join(folder, 'bundle.json'))
  const cache = new HashCache(options.cacheFolder)
  await cache.open()
  for (const file of Object.keys(manifest.files)) await checkFile(root, manifest, file, options.verify === 'full' ? undefined : cache, cache)
  await cache.save()
  return { folder: root, manifest, path: file => join(root, file) }
}

/** The text of a bundle.json, checked in all that needs no files. */
export function parseManifest(text: string, where = 'bundle.json'): Manifest {
  let json: unknown
  try {
    json = JSON.parse(text)
  } catch (cause) {
    throw new ParleyError('bundle-bad', `${where} is not JSON`, { cause })
  }
  const parsed = Manifest.safeParse(json)
  if (!parsed.success) throw bad(where, ...firstIssue(parsed.error))
  const m = parsed.data
  const files = Object.entries(m.files)
  if (files.length > MAX_FILES) throw bad(where, 'files', `${files.length} are too many (at most ${MAX_FILES})`)
  if (files.reduce((sum, [, f]) => sum + f.bytes, 0) > MAX_BUNDLE_BYTES) throw bad(where, 'files', `together over ${MAX_BUNDLE_BYTES} bytes`)
  crossCheck(m, (field, reason) => { throw bad(where, field, reason) })
  for (const [file, limit] of [[m.tokenizer.file, MAX_TOKENIZER_BYTES], [m.golden.wav, MAX_GOLDEN_BYTES]] as const) {
    if ((m.files[file]?.bytes ?? 0) > limit) throw bad(where, `files.${file}.bytes`, `at most ${limit} for this kind of file`)
  }
  return m
}

async function readManifest(root: string): Promise<string> {
  const path = join(root, 'bundle.json')
  try {
    const info = await stat(path)
    const { size } = info
    if (!info.isFile()) throw new ParleyError('bundle-bad', `${path} is not a file`) // a pipe would be waited for
    if (size > MAX_MANIFEST_BYTES) throw new ParleyError('bundle-bad', `${path} has ${size} bytes; at most ${MAX_MANIFEST_BYTES}`)
    return await readFile(path, 'utf8')
  } catch (cause) {
    if (cause instanceof ParleyError) throw cause
    throw new ParleyError(isMissing(cause) ? 'bundle-missing' : 'bundle-bad', `cannot read ${path}`, { cause, hint: 'A bundle is a folder with bundle.json in it: name the folder.' })
  }
}

async function checkFile(root: string, m: Manifest, file: string, trusted: HashCache | undefined, cache: HashCache): Promise<void> {
  const want = m.files[file] as Manifest['files'][string]
  const field = `files.${file}`
  // A link may stand for a file inside the bundle, never for one outside.
  const real = await realpath(join(root, file)).catch((cause: unknown) => {
    throw new ParleyError('bundle-bad', `${join(root, file)} (${field}): the file is missing`, { cause, hint: RESTORE })
  })
  if (!real.startsWith(root + sep)) throw bad(join(root, file), field, 'it leads out of the bundle')
  const info = await stat(real)
  if (!info.isFile()) throw bad(join(root, file), field, 'it is not a file')
  if (info.size !== want.bytes) throw changed(join(root, file), `${field}.bytes`, `expected ${want.bytes}, found ${info.size}`)
  const hash = trusted?.get(real, info) ?? await sha256Of(real)
  if (hash !== want.sha256) throw changed(join(root, file), `${field}.sha256`, `expected ${want.sha256}, found ${hash}`)
  cache.set(real, info, hash)
}

function firstIssue(error: z.ZodError): [string, string] {
  const issue = error.issues[0]
  // Of a bad key zod itself only says "Invalid key in record"; what is wrong with it stands inside.
  const reason = issue?.code === 'invalid_key' ? issue.issues[0]?.message : issue?.message
  return [issue?.path.map(String).join('.') || '(the whole)', reason ?? 'not as expected']
}

function bad(file: string, field: string, reason: string): ParleyError {
  return new ParleyError('bundle-bad', `${file}: ${field}: ${reason}`, { hint: 'See docs/bundle.md.' })
}

function changed(file: string, field: string, reason: string): ParleyError {
  return new ParleyError('bundle-changed', `${file}: ${field}: ${reason}`, { hint: `The file is not the one that the manifest was made for. ${RESTORE}` })
}
