import { X509Certificate } from 'node:crypto'
import { readFile } from 'node:fs/promises'
import { ParleyError, isMissing } from '../../base/errors.js'

const CERTIFICATE = /-----BEGIN CERTIFICATE-----[\s\S]*?-----END CERTIFICATE-----/g

/** The certificates in a file of `[update] ca`, as PEM. Throws `update-ca`: it cannot be read, or has no certificate, or a damaged one. */
export async function readAuthorities(path: string): Promise<string> {
  const text = await readFile(path, 'utf8').catch((cause: unknown) => {
    throw wrong(isMissing(cause) ? `there is no ${path}` : `${path} cannot be read`, cause)
  })
  const found = text.match(CERTIFICATE) ?? []
  if (found.length === 0) throw wrong(`${path} has no certificate in PEM`)
  // OpenSSL passes over a damaged one in silence, and then trusts nobody.
  found.forEach((pem, index) => {
    try {
      new X509Certificate(pem)
    } catch (cause) {
      throw wrong(`certificate ${index + 1} of ${found.length} in ${path} is damaged`, cause)
    }
  })
  return found.join('\n')
}

const wrong = (what: string, cause?: unknown): ParleyError =>
  new ParleyError('update-ca', what, { hint: '[update] ca names the PEM file of the authority of the update server', ...(cause === undefined ? {} : { cause }) })
