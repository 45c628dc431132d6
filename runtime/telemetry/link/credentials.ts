import { X509Certificate } from 'node:crypto'
import { ParleyError, describe, systemCode } from '../../../base/errors.js'
import { readCredential, readSecret } from '../../../base/secret.js'
import type { BrokerSettings } from '../settings.js'

export interface Credentials {
  readonly ca?: Buffer
  readonly cert?: Buffer
  readonly key?: Buffer
  readonly username?: string
  readonly password?: string
  /** Unix ms at which our certificate ends. */
  readonly notAfter?: number
}

/** Reads what the settings name. Throws `secret-missing`, `secret-readable` (others may read it) or `certificate-bad`. */
export async function readCredentials(broker: BrokerSettings): Promise<Credentials> {
  const ca = broker.ca === undefined ? undefined : await readCredential(broker.ca)
  const cert = broker.cert === undefined ? undefined : await readCredential(broker.cert)
  const key = broker.key === undefined ? undefined : await readSecret(broker.key)
  const password = broker.passwordFile === undefined ? undefined : (await readSecret(broker.passwordFile)).toString('utf8').trim()
  return {
    ...(ca ? { ca } : {}), ...(cert ? { cert, notAfter: notAfter(cert, broker.cert ?? '') } : {}), ...(key ? { key } : {}),
    ...(broker.username ? { username: broker.username } : {}), ...(password === undefined ? {} : { password }),
  }
}

function notAfter(pem: Buffer, path: string): number {
  try {
    return Date.parse(new X509Certificate(pem).validTo)
  } catch (cause) {
    throw new ParleyError('certificate-bad', `${path} is no certificate in PEM`, { cause })
  }
}

/** OpenSSL's and MQTT's reasons that a person can act on; anything else is `unreachable`. */
const REASONS: readonly [RegExp, string, string][] = [
  [/not.yet.valid|NOT_YET_VALID/i, 'certificate-early', 'Is the clock of this device right?'],
  [/certificate.expired|CERT_HAS_EXPIRED/i, 'certificate-expired', 'Renew the certificate of this device or of the broker.'],
  [/certificate.revoked/i, 'certificate-revoked', 'Provision the device again.'],
  [/self.signed|unable.to.(get|verify)|unknown.ca|UNABLE_TO/i, 'certificate-unknown', 'Does `ca` name the authority that signed the broker\'s certificate?'],
  [/ALTNAME|does not match/i, 'certificate-name', 'The broker\'s certificate is for another name than the one in `url`.'],
  [/not authorized|bad user name|refused: 5|banned/i, 'unauthorised', 'The broker does not know this device.'],
]

/** What kept us from the broker, as a code. */
export function connectError(error: unknown): ParleyError {
  const text = `${systemCode(error) ?? ''} ${describe(error)}`
  const [, code, hint] = REASONS.find(([pattern]) => pattern.test(text)) ?? [undefined, 'unreachable', undefined]
  return new ParleyError(code, 'the broker cannot be reached', { cause: error, ...(hint ? { hint } : {}) })
}
