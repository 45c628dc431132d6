import { homedir } from 'node:os'
import { join } from 'node:path'

/**
 * Where what can be made again is kept. A service has no home that it may write: there it is the folder that systemd gave it
 * (CacheDirectory= or StateDirectory=; of a list, the first).
 */
export function cacheFolder(env: NodeJS.ProcessEnv = process.env): string {
  const first = (list: string | undefined): string | undefined => list?.split(':')[0] || undefined
  const given = env['PARLEY_CACHE'] || first(env['CACHE_DIRECTORY'])
  if (given) return given
  const state = first(env['STATE_DIRECTORY'])
  return state ? join(state, 'cache') : join(env['XDG_CACHE_HOME'] || join(homedir(), '.cache'), 'parley')
}
