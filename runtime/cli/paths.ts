import { existsSync } from 'node:fs'
import { dirname, join, resolve } from 'node:path'
import { fileURLToPath } from 'node:url'
import { deviceRoot } from '../../base/device-root.js'

/** The folder of package.json: two levels up from runtime/cli, and one more from dist. */
export const PACKAGE = findPackage(fileURLToPath(new URL('.', import.meta.url)))
/** Of the release that an installed device runs. */
const INSTALLED_BUNDLE = join(deviceRoot(), 'opt/parley/current/bundle')
/** The release's own, where there is one; in a clone the one beside the source. */
export const SHIPPED_BUNDLE = existsSync(INSTALLED_BUNDLE) ? INSTALLED_BUNDLE : join(PACKAGE, 'models', 'pico')

function findPackage(from: string): string {
  for (let at = from; at !== dirname(at); at = dirname(at)) if (existsSync(join(at, 'package.json'))) return at
  return process.cwd()
}

/** The bundle to run: named on the command line, in the configuration (relative to its file), or the shipped one. */
export function bundlePath(named: string | undefined, configured?: string, configFile?: string): string {
  if (named !== undefined) return resolve(named)
  if (configured !== undefined) return resolve(configFile ? dirname(configFile) : '.', configured)
  return SHIPPED_BUNDLE
}
