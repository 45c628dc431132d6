import { chmod, mkdir, readFile } from 'node:fs/promises'
import { dirname, join } from 'node:path'
import { parseArgs } from 'node:util'
import { parse, stringify, type TomlTable } from 'smol-toml'
import { z } from 'zod'
import { ParleyError, describe, isMissing } from '../../base/errors.js'
import { writeFileAtomic } from '../../base/files.js'
import type { Io } from '../io.js'
import { jetsonFinding } from '../jetson/finding.js'
import { LocalMachine } from '../jetson/machine.js'
import { answers, type Answers } from './answers.js'
import { trySound, type Finding, type SoundChecks } from './checks.js'
import { ownKey, readableByService, type Identity } from './keys.js'

export const provisionHelp = `
parley provision [--from FILE] [--root DIR] [--no-sound]

Identity, key, claim, site facts, volume, microphone, echo, golden utterance; at the end a summary to photograph.
--from FILE   the answers (TOML): device, site, [facts], volume, [broker] url ca cert, [update] from, claim. Nothing is asked
--no-sound    leaves the checks that make a noise out
May be run again: the key stays, answers replace the old ones, everything else in parley.toml is kept.
Exit codes: 0 all well, 1 a check failed, 2 wrong option, 3 wrong answers.`

export interface ProvisionHost {
  /** Asks a person; undefined: there is nobody. */
  readonly ask?: (question: string) => Promise<string>
  readonly sound?: SoundChecks
  /** Makes the device known to its owner; gives what he calls it, and the certificate that the device now has. */
  readonly claim?: (identity: Identity, answers: Answers) => Promise<{ readonly seen: string; readonly cert?: string }>
}

export async function provisionMain(argv: readonly string[], io: Io, host: ProvisionHost = {}): Promise<number> {
  const { values } = options(argv)
  const at = (path: string): string => join(values.root, path)
  const wanted = await collect(values.from, host)
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
  await writeConfig(at('etc/parley/parley.toml'), known)
  await readable(at('etc/parley/parley.toml'))
  if (known.broker) {
    await put(at('etc/parley/fallback.env'), fallbackEnv(known), 0o640)
    await readable(at('etc/parley/fallback.env'))
  }
  if (host.sound && !values['no-sound']) findings.push(...(await trySound(host.sound, wanted.volume)))
  const text = summary(wanted, identity, findings, io.wall())
  await put(at('var/lib/parley/provision.txt'), `${text}\n`, 0o644)
  io.out(text)
  return findings.some(f => f.state === 'fail') ? 1 : 0
}

async function collect(from: string | undefined, host: ProvisionHost): Promise<Answers> {
  let given: Record<string, unknown> = {}
  if (from !== undefined) {
    try {
      given = parse(await readFile(from, 'utf8'))
    } catch (cause) {
      throw new ParleyError('bad-config', `${from} cannot be read`, { cause })
    }
  } else if (host.ask) {
    for (const [key, question] of [['device', 'Name of this device (letters, digits, -): '], ['site', 'Name of the site: ']] as const) given[key] = (await host.ask(question)).trim()
    const volume = (await host.ask('Volume in percent [60]: ')).trim()
    if (volume !== '') given['volume'] = Number(volume)
  }
  const found = answers.safeParse(given)
  if (!found.success) throw new ParleyError('bad-config', `the answers are not complete: ${z.prettifyError(found.error)}`, { hint: 'parley provision --help' })
  return found.data
}

/** Only the keys that were answered change; what the owner wrote besides is kept (his comments are not: TOML has no place for them). */
async function writeConfig(path: string, { device, site, facts, broker, update, volume }: Answers): Promise<void> {
  const old = await readFile(path, 'utf8').then(parse, error => {
    if (isMissing(error)) return {} as TomlTable
    throw error
  })
  const section = (name: string): TomlTable => (old[name] ?? {}) as TomlTable
  const key = '/etc/parley/keys/device.key'
  const next = {
    ...old,
    playout: { ...section('playout'), volume: volume / 100 },
    facts: { ...section('facts'), ...facts },
    ...(broker ? { telemetry: { ...section('telemetry'), site, device, broker: { ...broker, ...(broker.cert === undefined ? {} : { key }) } } } : {}),
    ...(update ? { update: { ...section('update'), ...update } } : {}),
  }
  await put(path, stringify(next), 0o640)
}

function fallbackEnv({ broker, site, device }: Answers): string {
  const url = new URL(broker?.url ?? '')
  // Read by a shell: only what cannot be anything but a value.
  const safe = (text: string): string => `'${text.replaceAll("'", '')}'`
  const lines = [`BROKER_HOST=${safe(url.hostname)}`, `BROKER_PORT=${safe(url.port || (url.protocol === 'mqtts:' ? '8883' : '1883'))}`, `ROOT_TOPIC=${safe(`parley/v1/${site}/${device}`)}`]
  // Without a CA of its own it trusts those of the system, as the runtime does; without any the program would speak in the clear.
  if (broker?.ca === undefined && url.protocol === 'mqtts:') lines.push("CAPATH='/etc/ssl/certs'")
  if (broker?.ca !== undefined) lines.push(`CA=${safe(broker.ca)}`)
  if (broker?.cert !== undefined) lines.push(`CERT=${safe(broker.cert)}`, "KEY='/etc/parley/keys/device.key'")
  return `${lines.join('\n')}\n`
}

async function put(path: string, text: string, mode: number): Promise<void> {
  await mkdir(dirname(path), { recursive: true })
  await writeFileAtomic(path, text, mode)
  await chmod(path, mode) // the umask may have taken some
}

function summary({ device, site, facts, volume }: Answers, { fingerprint, isNew }: Identity, findings: readonly Finding[], wall: number): string {
  const mark = { ok: '[ ok ]', warn: '[warn]', fail: '[FAIL]' } as const
  const rows = [
    ['device', device], ['site', site], ['key', `${fingerprint}${isNew ? ' (new)' : ''}`], ['facts', String(Object.keys(facts).length)], ['volume', `${volume} %`], ['date', new Date(wall).toISOString().slice(0, 16).replace('T', ' ') + ' UTC'],
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
