import { readFile, stat } from 'node:fs/promises'
import { resolve, sep } from 'node:path'
import { ParleyError, isMissing } from './errors.js'

/**
 * A file that only its owner may read, or one that systemd has put into this unit's folder of credentials (`LoadCredential=`).
 * Throws `secret-missing` or `secret-readable`.
 */
export async function readSecret(path: string): Promise<Buffer> {
  const bytes = await readCredential(path)
  const { mode } = await stat(path)
  const given = process.env['CREDENTIALS_DIRECTORY']
  const bySystemd = given !== undefined && resolve(path).startsWith(resolve(given) + sep)
  if (!bySystemd && (mode & 0o077) !== 0) {
    throw new ParleyError('secret-readable', `${path} can be read by others (mode ${(mode & 0o777).toString(8)})`, { hint: `chmod 600 ${path}` })
  }
  return bytes
}

/** One that others may know too, such as a certificate. Throws `secret-missing`. */
export async function readCredential(path: string): Promise<Buffer> {
  try {
    return await readFile(path)
  } catch (cause) {
    throw new ParleyError('secret-missing', isMissing(cause) ? `there is no ${path}` : `cannot read ${path}`, { cause })
  }
}
