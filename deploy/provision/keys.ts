import { createHash, createPublicKey, generateKeyPairSync } from 'node:crypto'
import { chown, mkdir, readFile } from 'node:fs/promises'
import { dirname } from 'node:path'
import { isMissing } from '../../base/errors.js'
import { writeFileAtomic } from '../../base/files.js'

export interface Identity {
  readonly publicKey: string
  /** The first 16 hex digits of the SHA-256 of the public key (SPKI), in fours: to be compared by eye. */
  readonly fingerprint: string
  readonly isNew: boolean
}

/** The device's own P-256 key. Made here, never leaves, never made twice: a second run must not orphan a claimed device. */
export async function ownKey(path: string, passwd = '/etc/passwd'): Promise<Identity> {
  const old = await readFile(path).catch(error => {
    if (isMissing(error)) return undefined
    throw error
  })
  const pem = old ?? generateKeyPairSync('ec', { namedCurve: 'P-256' }).privateKey.export({ type: 'pkcs8', format: 'pem' })
  if (!old) {
    await mkdir(dirname(path), { recursive: true, mode: 0o750 })
    await writeFileAtomic(path, pem as string, 0o600)
    // Root makes it, the service reads it; the broker's client insists on 0600.
    const uid = process.getuid?.() === 0 ? await idOf('parley', passwd) : undefined
    if (uid !== undefined) await chown(path, uid, 0)
  }
  const key = createPublicKey(pem)
  const fingerprint = createHash('sha256').update(key.export({ type: 'spki', format: 'der' })).digest('hex').slice(0, 16)
  return { publicKey: key.export({ type: 'spki', format: 'pem' }) as string, fingerprint: fingerprint.match(/.{4}/g)?.join(' ') ?? '', isNew: !old }
}

/** Root writes it, the service reads it: root's, of the group `parley`. Nothing where there is no such group, or for who is not root. */
export async function readableByService(path: string, group: string): Promise<void> {
  if (process.getuid?.() !== 0) return
  const gid = await idOf('parley', group)
  if (gid !== undefined) await chown(path, 0, gid)
}

/** The third field of a line of passwd(5) or group(5). */
async function idOf(name: string, file: string): Promise<number | undefined> {
  const line = (await readFile(file, 'utf8').catch(() => '')).split('\n').find(l => l.startsWith(`${name}:`)) // no such file: no such name
  return line === undefined ? undefined : Number(line.split(':')[2])
}
