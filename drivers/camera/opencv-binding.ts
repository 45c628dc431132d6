import { existsSync, readFileSync, readdirSync } from 'node:fs'
import { homedir } from 'node:os'
import { join } from 'node:path'
import { z } from 'zod'
import { ParleyError, isMissing } from '../../base/errors.js'

/** The last thing that `npm run setup:camera` (deploy/setup/camera.mjs) writes: the binding was built and has decoded an image. */
const readySchema = z.object({ binding: z.string(), cascade: z.string(), opencv: z.string(), abi: z.string(), arch: z.string() })
export type ReadyBinding = z.infer<typeof readySchema>

/** The same rule as in deploy/setup/camera.mjs, which must run before anything is compiled. */
export function cacheFolder(env: NodeJS.ProcessEnv = process.env): string {
  return env['PARLEY_CACHE'] ?? join(env['XDG_CACHE_HOME'] ?? join(homedir(), '.cache'), 'parley')
}

/** Finds the binding for this Node. Throws `no-opencv`, naming the command that makes it. */
export function findBinding(folder = cacheFolder()): ReadyBinding {
  const others: string[] = []
  for (const name of list(folder).filter(n => n.startsWith('opencv-'))) {
    const ready = readReady(join(folder, name, 'ready.json'))
    if (!ready || !existsSync(ready.binding)) continue
    if (ready.abi === process.versions.modules && ready.arch === process.arch) return ready
    others.push(`ABI ${ready.abi} ${ready.arch}`)
  }
  const found = others.length ? `; found only for ${others.join(', ')}` : ''
  throw new ParleyError('no-opencv', `the OpenCV binding is not set up for this Node (ABI ${process.versions.modules} ${process.arch}) in ${folder}${found}`, {
    hint: 'Run: npm run setup:camera (3 to 9 minutes, once), or use driver = "ffmpeg"',
  })
}

function list(folder: string): string[] {
  try {
    return readdirSync(folder)
  } catch (error) {
    if (isMissing(error)) return []
    throw error
  }
}

function readReady(path: string): ReadyBinding | undefined {
  try {
    return readySchema.parse(JSON.parse(readFileSync(path, 'utf8')))
  } catch {
    return undefined // a build that was broken off, or the mark of an older recipe
  }
}
