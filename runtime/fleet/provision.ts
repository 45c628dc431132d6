import { X509Certificate, createPrivateKey, createPublicKey, generateKeyPairSync } from 'node:crypto'
import { mkdir, readFile, rm } from 'node:fs/promises'
import { join } from 'node:path'
import { childAbort, withTimeout } from '../../base/abort.js'
import { ParleyError, isMissing } from '../../base/errors.js'
import { writeFileAtomic } from '../../base/files.js'
import { attempt } from '../telemetry/link/attempt.js'
import type { BrokerSettings } from '../telemetry/settings.js'
import { certificateRequest } from './csr.js'

/** A registrar signs in well under a second; a person may have to start it first. */
const ANSWER_MS = 60_000

export interface ProvisionOptions {
  /** With the claim's certificate, whose common name is `claim/<id>`, and its key. */
  readonly broker: BrokerSettings & { readonly cert: string; readonly key: string }
  readonly claim: string
  readonly site: string
  readonly device: string
  /** Where `device.pem` and `device.key` go. A `device.key` that is there already is used. */
  readonly folder: string
  /** Instead of `device.pem` in `folder`. */
  readonly certFile?: string
  readonly signal: AbortSignal
}

/**
 * Turns a claim into this device's own certificate: the key is made here and never leaves, and the claim is deleted when the
 * certificate is on disk. Throws `provision-refused` with the registrar's reason, or what kept us from the broker.
 */
export async function provision(options: ProvisionOptions): Promise<{ cert: string; key: string }> {
  const { broker, claim, site, device, folder } = options
  const files = { cert: options.certFile ?? join(folder, 'device.pem'), key: join(folder, 'device.key') }
  const old = await readFile(files.key).catch(error => {
    if (isMissing(error)) return undefined
    throw error
  })
  const privateKey = old ? createPrivateKey(old) : generateKeyPairSync('ec', { namedCurve: 'P-256' }).privateKey
  const publicKey = createPublicKey(privateKey)
  const csr = certificateRequest(`${site}/${device}`, publicKey, privateKey)
  const root = `parley/provision/claim/${claim}`
  const limit = childAbort(options.signal)
  let hear: (payload: Buffer) => void = () => {}
  const heard = new Promise<Buffer>(resolve => { hear = resolve })
  const { client } = await attempt(broker, { clientId: `claim-${claim}`, clean: true, onMessage: (_topic, payload) => hear(payload) }, limit.signal)
  try {
    await client.subscribeAsync(`${root}/answer`, { qos: 1 })
    await client.publishAsync(`${root}/request`, JSON.stringify({ site, device, csr }), { qos: 1 })
    const answer = JSON.parse((await withTimeout(heard, ANSWER_MS, 'the registrar')).toString('utf8')) as { cert?: string; why?: string }
    if (!answer.cert) throw new ParleyError('provision-refused', `the registrar refused: ${answer.why ?? 'it gave no reason'}`)
    const issued = new X509Certificate(answer.cert)
    if (!issued.checkPrivateKey(privateKey)) throw new ParleyError('provision-refused', 'the certificate that came is for another key')
    await mkdir(folder, { recursive: true, mode: 0o700 })
    if (!old) await writeFileAtomic(files.key, privateKey.export({ type: 'pkcs8', format: 'pem' }), 0o600)
    await writeFileAtomic(files.cert, answer.cert, 0o644)
    await rm(broker.key, { force: true })
    await rm(broker.cert, { force: true })
    return files
  } finally {
    client.end(true)
    limit.abort()
  }
}
