import { randomBytes } from 'node:crypto'
import { connect } from 'node:net'
import { ParleyError, describe, systemCode } from '../../base/errors.js'
import type { Seen } from '../../base/finding.js'
import { readSecret } from '../../base/secret.js'
import type { Config } from '../config/schema.js'
import { attempt } from '../telemetry/link/attempt.js'
import { readCredentials } from '../telemetry/link/credentials.js'
import type { BrokerSettings } from '../telemetry/settings.js'
import type { Check } from './check.js'

/** A broker on the same network answers in ms. */
const CONNECT_LIMIT_MS = 3_000
const DAY_MS = 86_400_000
/** Time for a technician's next visit. */
const SOON_DAYS = 30
/** Of systemd: there only while the service runs, and for it alone. */
const CREDENTIALS = '/run/credentials/'

export function brokerChecks({ mqtt, telemetry }: Config, now: () => number = Date.now): Check[] {
  return [
    ...(mqtt ? [port(mqtt.url)] : []),
    ...(mqtt?.passwordFile ? [password(mqtt.passwordFile)] : []),
    ...(telemetry?.broker.cert || telemetry?.broker.key ? [certificate(telemetry.broker, now)] : []),
    ...(telemetry ? [session(telemetry.broker)] : []),
  ]
}

function port(url: string): Check {
  const { hostname, port, protocol } = new URL(url)
  const number = Number(port) || (protocol === 'mqtts:' ? 8_883 : protocol === 'mqtt:' ? 1_883 : protocol === 'wss:' ? 443 : 80)
  return {
    what: 'broker', needed: false,
    look: () => new Promise((resolve, reject) => {
      const socket = connect({ host: hostname, port: number, timeout: CONNECT_LIMIT_MS })
      socket.once('connect', () => { socket.destroy(); resolve({ state: 'ok', seen: `${hostname}:${number} answers` }) })
      const fail = (why: string): void => { socket.destroy(); reject(new ParleyError('device-missing', `${hostname}:${number}: ${why}`, { hint: 'is the broker running, and the address right?' })) }
      socket.once('timeout', () => fail(`no answer in ${CONNECT_LIMIT_MS} ms`))
      socket.once('error', error => fail(error.message))
    }),
  }
}

function password(path: string): Check {
  return {
    what: 'broker password', needed: true,
    look: () => unlessSystemds(path, async () => {
      await readSecret(path)
      return { state: 'ok', seen: path }
    }),
  }
}

function certificate(broker: BrokerSettings, now: () => number): Check {
  return {
    what: 'certificate', needed: true,
    look: () => unlessSystemds(broker.key ?? broker.cert ?? '', async () => {
      const { notAfter } = await readCredentials(broker).catch((error: unknown) => { throw withMend(error) })
      if (notAfter === undefined) return { state: 'fail', seen: 'a key, but no certificate', mend: 'name it in [telemetry.broker] cert' }
      const days = Math.floor((notAfter - now()) / DAY_MS)
      const seen = `${broker.cert} ${days < 0 ? `ended ${-days} days ago` : `lasts ${days} more days`}`
      if (days < SOON_DAYS) return { state: days < 0 ? 'fail' : 'warn', seen, mend: 'ask the fleet\'s owner for a new claim, then: sudo parley provision' }
      return { state: 'ok', seen }
    }),
  }
}

/** All that the runtime does, under another name: the port, TLS, both certificates, the password. */
function session(broker: BrokerSettings): Check {
  return {
    what: 'telemetry broker', needed: false,
    look: () => unlessSystemds(broker.key ?? broker.passwordFile ?? '', async () => {
      try {
        const { client } = await attempt(broker, { clientId: `doctor.${randomBytes(4).toString('hex')}`, clean: true }, AbortSignal.timeout(CONNECT_LIMIT_MS))
        client.end(true)
        return { state: 'ok', seen: `${broker.url} lets us in` }
      } catch (error) {
        if (error instanceof ParleyError && /^(secret|certificate-bad)/.test(error.code)) return { state: 'warn', seen: `not tried: ${error.message}`, mend: error.hint || 'mend the certificate first' }
        const hint = error instanceof ParleyError ? error.hint : undefined
        return { state: 'warn', seen: `${broker.url}: ${describe(error instanceof Error && error.cause ? error.cause : error)}`, mend: hint || 'is the broker running, and the address right?' }
      }
    }),
  }
}

async function unlessSystemds(path: string, look: Check['look']): Promise<Seen> {
  if (!path.startsWith(CREDENTIALS)) return look()
  return { state: 'ok', seen: `not looked at: ${path} is there for the service alone`, mend: 'journalctl -u parley tells whether the broker lets it in' }
}

function withMend(error: unknown): unknown {
  if (!(error instanceof ParleyError) || error.hint) return error
  if (systemCode(error.cause) === 'EACCES') return new ParleyError(error.code, error.message, { hint: 'sudo parley doctor', cause: error })
  return new ParleyError(error.code, error.message, { hint: 'ask the fleet\'s owner for a claim, then: sudo parley provision', cause: error })
}
