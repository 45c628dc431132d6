import { X509Certificate, createPrivateKey } from 'node:crypto'
import { mkdir, readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { ParleyError } from '../../base/errors.js'
import { writeFileAtomic } from '../../base/files.js'

/** Where a claim waits beside the device's key until it is used; both are deleted then. */
export const CLAIM = { cert: 'claim.pem', key: 'claim.key' }

/** Takes a claim's file, certificate and key in one, to its place; gives the claim's id. The file itself stays: it may lie on a read-only stick. */
export async function takeClaim(file: string, folder: string): Promise<string> {
  const text = await readFile(file, 'utf8').catch((cause: unknown) => { throw bad(`${file} cannot be read`, cause) })
  const cert = /-----BEGIN CERTIFICATE-----[^-]+-----END CERTIFICATE-----/.exec(text)?.[0]
  const key = /-----BEGIN [A-Z ]*PRIVATE KEY-----[^-]+-----END [A-Z ]*PRIVATE KEY-----/.exec(text)?.[0]
  if (cert === undefined || key === undefined) throw bad(`${file} has no ${cert === undefined ? 'certificate' : 'key'}`)
  try {
    const parsed = new X509Certificate(cert)
    const id = /^CN=claim\/([A-Za-z0-9_-]{1,40})$/m.exec(parsed.subject)?.[1]
    if (id === undefined) throw bad(`the certificate in ${file} is no claim: ${parsed.subject.replaceAll('\n', ' ')}`)
    if (!parsed.checkPrivateKey(createPrivateKey(key))) throw bad(`certificate and key in ${file} do not belong together`)
    await mkdir(folder, { recursive: true, mode: 0o750 })
    await writeFileAtomic(join(folder, CLAIM.key), `${key}\n`, 0o600)
    await writeFileAtomic(join(folder, CLAIM.cert), `${cert}\n`, 0o600)
    return id
  } catch (cause) {
    throw cause instanceof ParleyError ? cause : bad(`${file} is damaged`, cause)
  }
}

const bad = (what: string, cause?: unknown): ParleyError => new ParleyError('bad-config', what, { cause, hint: 'A claim is a file from the fleet\'s owner: cat claim.pem claim.key > claim' })
