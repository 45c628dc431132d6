import { readFile, readdir } from 'node:fs/promises'
import { join } from 'node:path'
import t from 'tap'
import { fleetMain } from '../../runtime/fleet/main.js'
import { provision } from '../../runtime/fleet/provision.js'
import { Authority, type Issued } from '../rig/authority.js'
import type { Broker } from '../rig/broker.js'
import { Folder, eventually, startTelemetry } from './kit.js'
import { secureBroker } from './secure-broker.js'

/** A registrar at work, and devices that come to it, each with a claim of its own. */
class Office implements AsyncDisposable {
  readonly lines: string[] = []
  readonly #stop = new AbortController()
  #serving: Promise<number> | undefined
  #claims = 0

  private constructor(readonly authority: Authority, readonly broker: Broker, readonly folder: Folder) {}

  static async open(...more: string[]): Promise<Office> {
    const authority = await Authority.create()
    const office = new Office(authority, await secureBroker(authority, {}, ['log_type all']), await Folder.make())
    await office.serve(...more)
    return office
  }

  async serve(...more: string[]): Promise<void> {
    const { cert, key } = await this.authority.issue('registrar')
    const { ca, caKey } = this.authority
    const argv = ['provision', '--broker', this.broker.url, '--ca', ca, '--cert', cert, '--key', key, '--ca-key', caKey, '--used', join(this.folder.path, 'used.json'), '--issued', this.issued, ...more]
    this.#serving = fleetMain(argv, { out: l => this.lines.push(l), err: l => this.lines.push(l), env: {}, signal: this.#stop.signal })
    await eventually('the registrar listens', () => /Received SUBSCRIBE/.test(this.broker.output))
  }

  get issued(): string {
    return join(this.folder.path, 'issued')
  }

  async ask(site: string, device: string): Promise<Issued> {
    const claim = `c${++this.#claims}`
    const credentials = await this.authority.issue(`claim/${claim}`)
    return provision({ broker: { url: this.broker.url, ca: this.authority.ca, ...credentials }, claim, site, device, folder: join(this.folder.path, claim), signal: AbortSignal.timeout(20_000) })
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#stop.abort()
    await this.#serving
    await this.broker[Symbol.asyncDispose]()
    await this.authority[Symbol.asyncDispose]()
    await this.folder[Symbol.asyncDispose]()
  }
}

t.test('a claim cannot be turned into a fresh claim', { timeout: 120_000 }, async t => {
  await using office = await Office.open()
  await t.rejects(office.ask('claim', 'c2'), { code: 'provision-refused', message: /no site may be named claim/ })
})

t.test('a name that was given is not given to another claim', { timeout: 120_000 }, async t => {
  await using office = await Office.open()
  await office.ask('lab', 'r1')
  await t.rejects(office.ask('lab', 'r1'), { code: 'provision-refused', message: /has a certificate already.*--replace lab\/r1/ })
  await office.ask('lab', 'r10')
})

t.test('the owner can let a name be given once more, and only once', { timeout: 120_000 }, async t => {
  await using office = await Office.open('--replace', 'lab/r1')
  await office.ask('lab', 'r1')
  await t.rejects(office.ask('lab', 'r1'), { code: 'provision-refused' })
})

t.test('a certificate that the registrar gave is kept, and with it the device is shut out', { timeout: 120_000 }, async t => {
  await using office = await Office.open()
  const device = await office.ask('lab', 'r1')
  const [kept = ''] = await readdir(office.issued)
  t.match(kept, /^lab\.r1\.[0-9A-F]+\.pem$/)
  t.equal(await readFile(join(office.issued, kept), 'utf8'), await readFile(device.cert, 'utf8'))
  const crl = await office.authority.crl({ cert: join(office.issued, kept), key: device.key })
  await using broker = await secureBroker(office.authority, { crl })
  await using folder = await Folder.make()
  await using telemetry = await startTelemetry(broker, folder.path, { broker: { url: broker.url, ca: office.authority.ca, ...device } })
  const codes: string[] = []
  telemetry.link.onNews(news => { if (news.what === 'failed') codes.push(news.code) })
  await eventually('a refusal', () => codes.length > 0)
  t.equal(codes[0], 'certificate-revoked')
})
