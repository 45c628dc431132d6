import { stat } from 'node:fs/promises'
import { join } from 'node:path'
import type { Authority } from '../rig/authority.js'
import { Broker } from '../rig/broker.js'

/** The tests run compiled, in dist or elsewhere: the repository's file is somewhere above, or where npm runs. */
async function aclFile(): Promise<string> {
  for (const start of [import.meta.dirname, process.cwd()]) {
    for (let at = start; at !== '/'; at = join(at, '..')) {
      const path = join(at, 'deploy/mosquitto/acl.conf')
      if (await stat(path).catch(() => undefined)) return path
    }
  }
  throw new Error('deploy/mosquitto/acl.conf is not here')
}

/** Who may do what is as in `deploy/mosquitto/acl.conf`. */
export async function secureBroker(authority: Authority, more: { crl?: string } = {}, extra: readonly string[] = []): Promise<Broker> {
  const server = await authority.issue('localhost')
  return Broker.start({ tls: { ca: authority.ca, ...server, ...more }, aclFile: await aclFile(), extra })
}
