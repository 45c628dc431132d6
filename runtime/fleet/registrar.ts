import { execFile } from 'node:child_process'
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { z } from 'zod'
import { ParleyError, describe, isMissing } from '../../base/errors.js'
import { writeFileAtomic } from '../../base/files.js'
import { nameSchema } from '../telemetry/settings.js'
import { IssuedCertificates } from './issued.js'
import type { FleetIo, FleetOptions } from './options.js'
import type { Owner } from './owner.js'

const run = promisify(execFile)
const TOPIC = /^parley\/provision\/claim\/([A-Za-z0-9_-]{1,40})\/request$/
/** A site of this name would make the certificate a claim, with which its device could ask for any other name. */
const RESERVED_SITE = 'claim'
const request = z.strictObject({ site: nameSchema, device: nameSchema, csr: z.string().max(4_096) })

/**
 * Answers claims with certificates until the signal aborts. Each claim counts once; those used are in `--used`. Each name is given
 * once, or whoever holds a claim could be any device; one named in `--replace` is given once more. What was given is in `--issued`.
 */
export async function registrar(owner: Owner, options: FleetOptions, io: FleetIo): Promise<number> {
  const { ca } = options.broker
  const caKey = options.values['ca-key']
  if (!ca || !caKey) throw new ParleyError('usage', '--ca and --ca-key say with what to sign')
  const used = options.values['used'] ?? 'claims-used.json'
  const days = Number(options.values['days'] ?? 365)
  if (!Number.isInteger(days) || days < 1 || days > 3_650) throw new ParleyError('usage', '--days takes 1 to 3650')
  const issued = new IssuedCertificates(options.values['issued'] ?? 'certificates-issued')
  const replace = new Set(options.values['replace']?.split(','))
  let chain: Promise<void> = Promise.resolve() // one at a time, so that one claim cannot be used twice in the same moment
  await owner.watch(['parley/provision/claim/+/request'], (topic, payload) => {
    const claim = TOPIC.exec(topic)?.[1]
    if (!claim) return
    chain = chain.then(async () => {
      const answer = await answerTo(claim, payload, { ca, caKey, used, days, issued, replace })
      io.out(`claim ${claim}: ${answer.cert ? `certificate for ${answer.name ?? ''}` : `refused, ${answer.why ?? ''}`}`)
      await owner.publish(`parley/provision/claim/${claim}/answer`, answer, false)
    }).catch((error: unknown) => io.err(describe(error)))
  }, io.signal)
  await chain
  return 0
}

interface Signing {
  readonly ca: string
  readonly caKey: string
  readonly used: string
  readonly days: number
  readonly issued: IssuedCertificates
  readonly replace: Set<string>
}

async function answerTo(claim: string, payload: Buffer, signing: Signing): Promise<{ cert?: string; name?: string; why?: string }> {
  try {
    const claims = await readUsed(signing.used)
    if (claims.includes(claim)) return { why: 'this claim was used before' }
    if (payload.length > 8_192) return { why: 'the request is too long' }
    const { site, device, csr } = request.parse(JSON.parse(payload.toString('utf8')))
    if (site === RESERVED_SITE) return { why: `no site may be named ${RESERVED_SITE}` }
    const name = `${site}/${device}`
    if (!signing.replace.has(name) && (await signing.issued.has(name))) return { why: `${name} has a certificate already; its owner lets it be replaced with --replace ${name}` }
    const cert = await signRequest(csr, name, signing)
    await signing.issued.keep(name, cert) // before the answer: one that nobody has a copy of could not be revoked
    signing.replace.delete(name)
    await writeFileAtomic(signing.used, JSON.stringify([...claims, claim]), 0o600) // before the answer: a claim may be lost, never used twice
    return { cert, name }
  } catch (error) {
    return { why: error instanceof ParleyError ? error.message : 'the request is not valid' }
  }
}

/** The name is ours, whatever stands in the request; openssl checks that the request is signed with its own key. */
async function signRequest(csr: string, name: string, { ca, caKey, days }: Signing): Promise<string> {
  const folder = await mkdtemp(join(tmpdir(), 'parley-registrar-'))
  try {
    const file = join(folder, 'csr.pem')
    await writeFile(file, csr)
    const { stdout: subject } = await run('openssl', ['req', '-in', file, '-noout', '-verify', '-subject', '-nameopt', 'RFC2253,-esc_ctrl'])
    if (subject.trim() !== `subject=CN=${name}`) throw new ParleyError('provision-refused', 'the request is for another name')
    const { stdout } = await run('openssl', ['x509', '-req', '-in', file, '-CA', ca, '-CAkey', caKey, '-days', String(days), '-sha256', '-set_serial', `0x${Buffer.from(crypto.getRandomValues(new Uint8Array(15))).toString('hex')}`])
    return stdout
  } catch (error) {
    if (error instanceof ParleyError) throw error
    throw new ParleyError('provision-refused', isMissing(error) ? 'the registrar has no openssl' : 'the request could not be signed', { cause: error })
  } finally {
    await rm(folder, { recursive: true, force: true })
  }
}

async function readUsed(path: string): Promise<string[]> {
  try {
    return z.array(z.string()).parse(JSON.parse(await readFile(path, 'utf8')))
  } catch (error) {
    if (isMissing(error)) return []
    throw new ParleyError('provision-refused', 'the registrar cannot read which claims were used', { cause: error })
  }
}
