import { X509Certificate } from 'node:crypto'
import { mkdir, readdir } from 'node:fs/promises'
import { join } from 'node:path'
import { isMissing } from '../../base/errors.js'
import { writeFileAtomic } from '../../base/files.js'

/** Every certificate that the registrar gave, a file each: `<site>.<device>.<serial>.pem`. With its file one is revoked. */
export class IssuedCertificates {
  readonly #folder: string

  constructor(folder: string) {
    this.#folder = folder
  }

  /** Whether `<site>/<device>` was given to somebody, also if that certificate has ended since. */
  async has(name: string): Promise<boolean> {
    try {
      return (await readdir(this.#folder)).some(file => file.startsWith(`${dotted(name)}.`))
    } catch (error) {
      if (isMissing(error)) return false
      throw error
    }
  }

  async keep(name: string, pem: string): Promise<void> {
    await mkdir(this.#folder, { recursive: true, mode: 0o700 })
    await writeFileAtomic(join(this.#folder, `${dotted(name)}.${new X509Certificate(pem).serialNumber}.pem`), pem, 0o600)
  }
}

/** Names have no dots, so two names cannot become the same. */
const dotted = (name: string): string => name.replace('/', '.')
