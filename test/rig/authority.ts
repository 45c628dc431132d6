import { execFile } from 'node:child_process'
import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { promisify } from 'node:util'

const run = promisify(execFile)

export interface Issued {
  readonly cert: string
  readonly key: string
}

/** A certificate authority of a test's own, made with openssl: issues, lets expire, revokes. */
export class Authority implements AsyncDisposable {
  readonly folder: string
  readonly ca: string
  readonly caKey: string

  private constructor(folder: string) {
    this.folder = folder
    this.ca = join(folder, 'ca.pem')
    this.caKey = join(folder, 'ca.key')
  }

  static async create(): Promise<Authority> {
    const authority = new Authority(await mkdtemp(join(tmpdir(), 'parley-ca-')))
    await authority.#ssl('req', '-x509', ...NEW_KEY, '-keyout', authority.caKey, '-out', authority.ca, '-days', '30', '-subj', '/CN=test authority')
    await writeFile(join(authority.folder, 'index.txt'), '')
    await writeFile(join(authority.folder, 'crlnumber'), '01\n')
    await writeFile(authority.#config, CONFIG.replaceAll('FOLDER', authority.folder))
    return authority
  }

  /** `name` becomes the common name, for which `/` stands as itself; `expired`: it ended in 2021. */
  async issue(name: string, options: { expired?: boolean } = {}): Promise<Issued> {
    const file = join(this.folder, name.replaceAll('/', '.'))
    const [csr, cert, key] = [`${file}.csr`, `${file}.pem`, `${file}.key`]
    await this.#ssl('req', '-new', ...NEW_KEY, '-keyout', key, '-out', csr, '-subj', `/CN=${name.replaceAll('/', '\\/')}`)
    const dates = options.expired ? ['-startdate', '20200101000000Z', '-enddate', '20210101000000Z'] : ['-days', '30']
    await this.#ssl('ca', '-batch', '-notext', '-config', this.#config, '-in', csr, '-out', cert, ...dates)
    return { cert, key }
  }

  /** The list of those revoked so far, with `revoked` among them. */
  async crl(...revoked: Issued[]): Promise<string> {
    for (const { cert } of revoked) await this.#ssl('ca', '-config', this.#config, '-revoke', cert)
    const path = join(this.folder, 'crl.pem')
    await this.#ssl('ca', '-config', this.#config, '-gencrl', '-out', path)
    return path
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await rm(this.folder, { recursive: true, force: true })
  }

  get #config(): string {
    return join(this.folder, 'ca.cnf')
  }

  async #ssl(...args: string[]): Promise<void> {
    await run('openssl', args, { cwd: this.folder })
  }
}

const NEW_KEY = ['-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:prime256v1', '-nodes']
const CONFIG = `[ca]
default_ca = here
[here]
database = FOLDER/index.txt
new_certs_dir = FOLDER
certificate = FOLDER/ca.pem
private_key = FOLDER/ca.key
crlnumber = FOLDER/crlnumber
rand_serial = yes
unique_subject = no
default_md = sha256
default_crl_days = 30
policy = any
x509_extensions = leaf
[any]
commonName = supplied
[leaf]
subjectAltName = DNS:localhost,IP:127.0.0.1
`
