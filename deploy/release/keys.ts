import { canonicalize } from '@tufjs/canonical-json'
import { Key, Signature } from '@tufjs/models'
import { createHash, createPrivateKey, createPublicKey, generateKeyPairSync, sign, type KeyObject } from 'node:crypto'
import { readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { ParleyError, isMissing } from '../../base/errors.js'

/** An Ed25519 key of the vendor. The private half stays in its file, on the machine (or the stick) of the one who signs. */
export class Signer {
  readonly name: string
  readonly key: Key
  readonly #secret: KeyObject

  constructor(name: string, secret: KeyObject) {
    this.name = name
    this.#secret = secret
    const spki = createPublicKey(secret).export({ type: 'spki', format: 'der' })
    // The last 32 bytes of the SPKI form are the key itself (RFC 8410).
    const body = { keytype: 'ed25519', scheme: 'ed25519', keyval: { public: spki.subarray(-32).toString('hex') } }
    this.key = Key.fromJSON(createHash('sha256').update(canonicalize(body)).digest('hex'), body)
  }

  sign = (data: Buffer): Signature => new Signature({ keyID: this.key.keyID, sig: sign(null, data, this.#secret).toString('hex') })

  static async create(folder: string, name: string): Promise<Signer> {
    const { privateKey } = generateKeyPairSync('ed25519')
    // `wx`: an existing key is never overwritten; devices may trust it.
    await writeFile(join(folder, `${name}.pem`), privateKey.export({ type: 'pkcs8', format: 'pem' }), { mode: 0o600, flag: 'wx' })
    return new Signer(name, privateKey)
  }

  static async load(folder: string, name: string): Promise<Signer> {
    try {
      return new Signer(name, createPrivateKey(await readFile(join(folder, `${name}.pem`))))
    } catch (cause) {
      throw new ParleyError(isMissing(cause) ? 'release-no-key' : 'release-bad-key', `the key ${name} cannot be read from ${folder}`, { cause, hint: 'parley release keys makes one' })
    }
  }
}

export const loadAll = (folder: string, names: readonly string[]): Promise<Signer[]> => Promise.all(names.map(name => Signer.load(folder, name)))
