import { join } from 'node:path'
import { deviceRoot } from '../../base/device-root.js'
import { readAuthorities } from '../../deploy/update/authorities.js'
import type { Wrong } from './load.js'
import type { Config } from './schema.js'

/** What is wrong with files that the configuration names and that nothing reads while the voice starts. The voice starts without them. */
export async function checkFiles({ update: { ca } }: Config, root = deviceRoot()): Promise<Wrong[]> {
  if (ca === undefined) return []
  try {
    await readAuthorities(join(root, ca))
    return []
  } catch (error) {
    return [{ key: 'update.ca', value: JSON.stringify(ca), expected: `a file with certificates in PEM (${error instanceof Error ? error.message : String(error)})` }]
  }
}
