import { cp, mkdir, readFile, stat } from 'node:fs/promises'
import { dirname, join } from 'node:path'
import { z } from 'zod'
import { isMissing } from '../../base/errors.js'

const lockfile = z.object({ packages: z.record(z.string(), z.object({ dev: z.boolean().optional(), devOptional: z.boolean().optional() })) })

/** Libraries of other machines: `bin/napi-v6/win32/x64/…` alone is larger than all the rest. */
const FOREIGN = /\/napi-v\d+\/([a-z0-9]+)\/([a-z0-9]+)(\/|$)/

/**
 * Copies to `to` what of `node_modules` a device needs: what the lock file does not mark as for development, for this
 * machine. Without a lock file all of it. Some 120 MB instead of 500, on a card of 8 GB with two releases.
 */
export async function copyDependencies(from: string, to: string): Promise<void> {
  await mkdir(to, { recursive: true }) // also where nothing is needed: a release has the folder
  for (const path of await needed(from)) {
    const source = join(from, path)
    if (!(await stat(source).catch(() => undefined))) continue // optional, and not for this machine
    const target = join(to, path.slice('node_modules/'.length))
    await mkdir(dirname(target), { recursive: true })
    const nested = join(source, 'node_modules')
    // What lies inside of it has an entry of its own, if it is needed.
    const filter = (file: string): boolean => file !== nested && isOwn(file.slice(source.length))
    await cp(source, target, { recursive: true, verbatimSymlinks: true, filter: path === 'node_modules' ? file => isOwn(file) : filter })
  }
}

function isOwn(path: string): boolean {
  const [, platform, arch] = FOREIGN.exec(path) ?? []
  return platform === undefined || (platform === process.platform && arch === process.arch)
}

async function needed(from: string): Promise<string[]> {
  try {
    const { packages } = lockfile.parse(JSON.parse(await readFile(join(from, 'package-lock.json'), 'utf8')))
    return Object.entries(packages).filter(([path, { dev, devOptional }]) => path !== '' && !dev && !devOptional).map(([path]) => path).sort()
  } catch (error) {
    if (isMissing(error)) return ['node_modules']
    throw error
  }
}
