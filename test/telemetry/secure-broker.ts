import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import type { Authority } from '../rig/authority.js'
import { Broker } from '../rig/broker.js'

const OURS = fileURLToPath(new URL('../../../deploy/mosquitto/', import.meta.url))

/** A broker with the configuration and the rights that we give out, `deploy/mosquitto/`: only its files, its port and its folder are others. */
export async function secureBroker(authority: Authority, more: { crl?: string } = {}, extra: readonly string[] = []): Promise<Broker> {
  const { cert, key } = await authority.issue('localhost')
  const files = { 'ca.pem': authority.ca, 'broker.pem': cert, 'broker.key': key, 'crl.pem': more.crl ?? (await authority.crl()), 'acl.conf': join(OURS, 'acl.conf') }
  let text = await readFile(join(OURS, 'mosquitto.conf'), 'utf8')
  for (const [name, path] of Object.entries(files)) text = text.replaceAll(`/etc/mosquitto/parley/${name}`, path)
  return Broker.start({ secure: true, config: (port, folder) => ['user root', text.replace(/^listener 8883$/m, `listener ${port} 127.0.0.1`).replace('/var/lib/mosquitto/', `${folder}/`), ...extra] })
}
