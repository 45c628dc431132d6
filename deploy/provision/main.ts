import { chmod, mkdir, readFile } from 'node:fs/promises'
import { dirname, join } from 'node:path'
import { parseArgs } from 'node:util'
import { parse, stringify, type TomlTable } from 'smol-toml'
import { z } from 'zod'
import { ParleyError, describe, isMissing } from '../../base/errors.js'
import { writeFileAtomic } from '../../base/files.js'
import type { Finding, Seen } from '../../base/finding.js'
import type { Io } from '../io.js'
import { jetsonFinding } from '../jetson/finding.js'
import { LocalMachine } from '../jetson/machine.js'
import { answers, type Answers } from './answers.js'
import { trySound, type SoundChecks } from './checks.js'
import { takeClaim } from './claim.js'
import { ownKey, readableByService, type Identity } from './keys.js'
import { questions, type Ask, type Known } from './questions.js'

export const provisionHelp = `
parley provision [--from FILE] [--root DIR] [--no-sound]

Identity, key, claim, site facts, volume, microphone, echo, golden utterance; at the end a summary to photograph. On a Jetson it
first builds the bundle's TensorRT engine, if the bundle has a graph for it: minutes.
--from FILE   the answers (TOML): device, site, [facts], volume, [broker] url ca cert, [update] from,
              claimFile. Nothing is asked; without it each is, and what is set already is proposed
--no-sound    leaves the checks that make a noise out
May be run again: the key stays, answers replace the old ones, everything else in parley.toml is kept.
Exit codes: 0 all well, 1 a check failed, 2 wrong option, 3 wrong answers.`

export interface ProvisionHost {
  /** Asks a person; undefined: there is nobody. */
  readonly ask?: Ask
  readonly sound?: SoundChecks
  /** Builds what the bundle needs on this device (an engine), telling how far it is; undefined: nothing is to be said of it. */
  readonly engine?: (tell: (line: string) => void) => Promise<Seen | undefined>
  /** Makes the device known to its owner; gives what he calls it, and the certificate that the device now has. */
  readonly claim?: (identity: Identity, answers: Answers) => Promise<{ readonly seen: string; readonly cert?: string }>
}

export async function provisionMain(argv: readonly string[], io: Io, host: ProvisionHost = {}): Promise<number> {
  const { values } = options(argv)
  const at = (path: string): string => join(values.root, path)
  const old = await oldConfig(at('etc/parley/parley.toml'))
  const answered = await collect(values.from, host, old, io)
  const wanted = answered.claimFile === undefined ? answered : { ...answered, claim: await takeClaim(answered.claimFile, at('etc/parley/keys')) }
  const identity = await ownKey(at('etc/parley/keys/device.key'), at('etc/passwd'))
  const jetson = await jetsonFinding(new LocalMachine(values.root))
  const findings: Finding[] = jetson ? [{ what: 'Jetson', ...jetson }] : []
  let cert = wanted.broker?.cert
  if (host.claim) {
    try {
      const claimed = await host.claim(identity, wanted)
      cert ??= claimed.cert
      findings.push({ what: 'claim', state: 'ok', seen: claimed.seen })
    } catch (error) {
      findings.push({ what: 'claim', state: 'fail', seen: describe(error), mend: 'a new claim code, then parley provision again' })
    }
  }
  // After the claim: only now it is known which certificate the device shows.
  const known: Answers = wanted.broker ? { ...wanted, broker: { ...wanted.broker, ...(cert === undefined ? {} : { cert }) } } : wanted
  const readable = (path: string): Promise<void> => readableByService(path, at('etc/group'))
  const keep = async (all: Answers): Promise<void> => {
    await writeConfig(at('etc/parley/parley.toml'), old, all)
    await readable(at('etc/parley/parley.toml'))
  }
  await keep(known)
  if (known.broker) {
    await put(at('etc/parley/fallback.env'), fallbackEnv(known, brokerOf(old, known)), 0o640)
    await readable(at('etc/parley/fallback.env'))
  }
  // Before the sound: the prompt and the golden utterance are tried on what the device will run on.
  const engine = await host.engine?.(io.out)
  if (engine) findings.push({ what: 'engine', ...engine })
  let { volume } = wanted
  if (host.sound && !values['no-sound']) {
    // Only who was asked for the rest is there to hear it.
    const tried = await trySound(host.sound, volume, values.from === undefined && host.ask ? host.ask : undefined)
    findings.push(...tried.findings)
    if (tried.volume !== volume) await keep({ ...known, volume: (volume = tried.volume) })
  }
  const text = summary({ ...known, volume }, identity, findings, io.wall())
  await put(at('var/lib/parley/provision.txt'), `${text}\n`, 0o644)
  io.out(text)
  return findings.some(f => f.state === 'fail') ? 1 : 0
}

async function oldConfig(path: string): Promise<TomlTable> {
  return readFile(path, 'utf8').then(parse, error => {
    if (isMissing(error)) return {}
    throw error
  })
}

async function collect(from: string | undefined, host: ProvisionHost, old: TomlTable, io: Io): Promise<Answers> {
  let given: Record<string, unknown> = {}
  if (from !== undefined) {
    try {
      given = parse(await readFile(from, 'utf8'))
    } catch (cause) {
      throw new ParleyError('bad-config', `${from} cannot be read`, { cause })
    }
  } else if (host.ask) {
    given = await questions(host.ask, knownOf(old), line => io.out(line))
  }
  const found = answers.safeParse(given)
  if (!found.success) throw new ParleyError('bad-config', `the answers are not complete: ${z.prettifyError(found.error)}`, { hint: 'parley provision --help' })
  return found.data
}

/** Only the keys that were answered change; what the owner wrote besides is kept (his comments are not: TOML has no place for them). */
async function writeConfig(path: string, old: TomlTable, answered: Answers): Promise<void> {
  const { device, site, facts, broker, update, volume } = answered
  const section = (name: string): TomlTable => (old[name] ?? {}) as TomlTable
  const next = {
    ...old,
    playout: { ...section('playout'), volume: volume / 100 },
    facts: { ...section('facts'), ...facts },
    ...(broker ? { telemetry: { ...section('telemetry'), site, device, broker: brokerOf(old, answered) } } : {}),
    ...(update ? { update: { ...section('update'), ...update } } : {}),
  }
  await put(path, stringify(next), 0o640)
}

/** What the voice has: the fallback must come in by the same door, also where only the owner's own lines open it. */
function brokerOf(old: TomlTable, { broker }: Answers): Readonly<Record<string, unknown>> {
  const before = ((old['telemetry'] as TomlTable | undefined)?.['broker'] ?? {}) as TomlTable
  return { ...before, ...broker, ...(broker?.cert === undefined ? {} : { key: '/etc/parley/keys/device.key' }) }
}

/** Where and as whom. Never a password: only the name of its file. */
function fallbackEnv({ site, device }: Answers, broker: Readonly<Record<string, unknown>>): string {
  const of = (name: string): string | undefined => { const value = broker[name]; return typeof value === 'string' ? value : undefined }
  const url = new URL(of('url') ?? '')
  // Read by a shell: only what cannot be anything but a value.
  const safe = (text: string): string => `'${text.replaceAll("'", "'\\''")}'`
  const [ca, cert, key, user, passwordFile] = [of('ca'), of('cert'), of('key'), of('username'), of('passwordFile')]
  const lines = [`BROKER_HOST=${safe(url.hostname)}`, `BROKER_PORT=${safe(url.port || (url.protocol === 'mqtts:' ? '8883' : '1883'))}`, `ROOT_TOPIC=${safe(`parley/v1/${site}/${device}`)}`]
  // Without a CA of its own it trusts those of the system, as the runtime does; without any the program would speak in the clear.
  if (ca === undefined && url.protocol === 'mqtts:') lines.push("CAPATH='/etc/ssl/certs'")
  if (ca !== undefined) lines.push(`CA=${safe(ca)}`)
  if (cert !== undefined && key !== undefined) lines.push(`CERT=${safe(cert)}`, `KEY=${safe(key)}`)
  if (user !== undefined) lines.push(`BROKER_USER=${safe(user)}`)
  if (user !== undefined && passwordFile !== undefined) lines.push(`PASSWORD_FILE=${safe(passwordFile)}`)
  return `${lines.join('\n')}\n`
}

async function put(path: string, text: string, mode: number): Promise<void> {
  await mkdir(dirname(path), { recursive: true })
  await writeFileAtomic(path, text, mode)
  await chmod(path, mode) // the umask may have taken some
}

/** What the configuration says already, as far as it is as it should be. */
function knownOf(old: TomlTable): Known {
  const table = (value: unknown): TomlTable => (typeof value === 'object' && value !== null ? (value as TomlTable) : {})
  const text = (value: unknown): string | undefined => (typeof value === 'string' ? value : undefined)
  const [telemetry, volume] = [table(old['telemetry']), table(old['playout'])['volume']]
  const broker = table(telemetry['broker'])
  const pairs = { device: text(telemetry['device']), site: text(telemetry['site']), updates: text(table(old['update'])['from']), volume: typeof volume === 'number' ? Math.round(volume * 100) : undefined }
  const url = text(broker['url'])
  const ca = text(broker['ca'])
  return { ...(Object.fromEntries(Object.entries(pairs).filter(([, v]) => v !== undefined)) as Known), ...(url === undefined ? {} : { broker: { url, ...(ca === undefined ? {} : { ca }) } }) }
}

function summary({ device, site, facts, volume, broker, update }: Answers, { fingerprint, isNew }: Identity, findings: readonly Finding[], wall: number): string {
  const mark = { ok: '[ ok ]', warn: '[warn]', fail: '[FAIL]' } as const
  const rows = [
    ['device', device], ['site', site], ['key', `${fingerprint}${isNew ? ' (new)' : ''}`], ['facts', Object.keys(facts).join(', ') || 'none'], ['broker', broker?.url ?? 'none'], ['updates', update?.from ?? 'none'], ['volume', `${volume} %`], ['date', new Date(wall).toISOString().slice(0, 16).replace('T', ' ') + ' UTC'],
  ].map(([name, value]) => `  ${name?.padEnd(8)} ${value}`)
  const checks = findings.flatMap(f => [`${mark[f.state]} ${f.what}: ${f.seen}`, ...(f.mend === undefined || f.state === 'ok' ? [] : [`       -> ${f.mend}`])])
  return ['PARLEY', ...rows, ...checks, findings.some(f => f.state === 'fail') ? 'NOT READY' : 'READY'].join('\n')
}

function options(argv: readonly string[]) {
  try {
    return parseArgs({ args: [...argv], options: { from: { type: 'string' }, root: { type: 'string', default: '/' }, 'no-sound': { type: 'boolean', default: false } } })
  } catch (cause) {
    throw new ParleyError('usage', cause instanceof Error ? cause.message : String(cause), { hint: 'parley provision --help' })
  }
}
