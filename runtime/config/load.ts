import { createReadStream } from 'node:fs'
import { TomlError, parse } from 'smol-toml'
import { z } from 'zod'
import { ParleyError, isMissing, systemCode } from '../../base/errors.js'
import { drivers, loadDriver, type Kind } from '../../drivers/table.js'
import { HIDDEN, isSecret } from './secrets.js'
import { configSchema, type Config } from './schema.js'
import type { JsonObject } from '../shadow/merge.js'
import { factsSettings, readingsSettings } from './site.js'

/** Read in this order where no file is named. */
const PLACES = ['parley.toml', '/etc/parley/parley.toml']
/** A configuration is some kB. */
const MOST_BYTES = 1_000_000

export interface Wrong {
  /** `playout.leadMs` */
  readonly key: string
  /** As it stands in the file, or undefined where it is missing. Secrets are hidden. */
  readonly value: string | undefined
  readonly expected: string
}

export interface Loaded {
  readonly config: Config
  /** The file, or undefined where there is none and the defaults hold. */
  readonly path: string | undefined
  /** As it stands in the file, before defaults. */
  readonly raw: JsonObject
}

const siteSchema = z.strictObject({ facts: factsSettings, readings: readingsSettings })
export type Site = z.infer<typeof siteSchema>

/**
 * Throws `bad-config` with key, value and what was expected, one line each; `config-missing` where the named file is not there;
 * `config-unreadable` where this user may not read it.
 */
export async function loadConfig(path?: string): Promise<Loaded> {
  const { found, raw } = path === undefined ? await readFirst() : { found: path, raw: await readToml(path) }
  // As JSON, into which what is desired from afar is merged: TOML's dates become text.
  return { config: checked(configSchema, raw, found ?? 'the defaults'), path: found, raw: JSON.parse(JSON.stringify(raw, (_key, v: unknown) => (typeof v === 'bigint' ? Number(v) : v))) as JsonObject }
}

/** A file with only `[facts]` and `[readings]`. */
export async function loadSite(path: string): Promise<Site> {
  return checked(siteSchema, await readToml(path), path)
}

/** What each driver's own schema says of its section; empty when all is well. */
export async function checkDrivers(config: Config): Promise<Wrong[]> {
  const sections: [Kind, string, Record<string, unknown> & { driver: string }][] = [
    ['microphone', 'microphone', config.microphone],
    ['speaker', 'speaker', config.speaker],
    ['actuator', 'actuator', config.actuator],
    ...(config.camera ? [['camera', 'camera', config.camera] as [Kind, string, typeof config.camera]] : []),
    ...Object.entries(config.sensors).map(([name, s]): [Kind, string, typeof s] => ['sensor', `sensors.${name}`, s]),
  ]
  const wrong: Wrong[] = []
  for (const [kind, where, section] of sections) {
    if (section.driver === 'auto' && (kind === 'microphone' || kind === 'speaker')) {
      wrong.push(...(await checkAuto(kind, section)))
      continue
    }
    if (!Object.hasOwn(drivers[kind], section.driver)) {
      wrong.push({ key: `${where}.driver`, value: JSON.stringify(section.driver), expected: `one of ${Object.keys(drivers[kind]).join(', ')}` })
      continue
    }
    const result = (await loadDriver(kind, section.driver)).schema.safeParse(section)
    if (!result.success) wrong.push(...wrongOf(result.error, section, where))
  }
  if (config.actuator.driver === 'mqtt' && !config.mqtt) wrong.push({ key: 'mqtt', value: undefined, expected: 'a section with the broker\'s url, because actuator.driver = "mqtt"' })
  return wrong
}

/** What `auto` may open; which of them it is, the machine decides. */
const AUTO = { microphone: ['pulse', 'alsa'], speaker: ['pipe', 'speaker'] } as const

/** Good if one of them takes it. */
async function checkAuto(kind: keyof typeof AUTO, section: Record<string, unknown>): Promise<Wrong[]> {
  let wrong: Wrong[] = []
  for (const driver of AUTO[kind]) {
    const result = (await loadDriver(kind, driver)).schema.safeParse({ ...section, driver })
    if (result.success) return []
    if (!wrong.length) wrong = wrongOf(result.error, section, kind)
  }
  return wrong
}

export function complaint(wrong: readonly Wrong[], where: string): ParleyError {
  const lines = wrong.map(w => `  ${w.key}${w.value === undefined ? ' is missing' : ` = ${w.value}`}: expected ${w.expected}`)
  return new ParleyError('bad-config', `${where} is wrong:\n${lines.join('\n')}`)
}

/** Only what is not there is passed over: a file that this user may not see would else be judged as the defaults. */
async function readFirst(): Promise<{ found: string | undefined; raw: unknown }> {
  for (const place of PLACES) {
    try {
      return { found: place, raw: await readToml(place) }
    } catch (error) {
      if (!(error instanceof ParleyError && error.code === 'config-missing')) throw error
    }
  }
  return { found: undefined, raw: {} }
}

async function readToml(path: string): Promise<unknown> {
  let bytes: Buffer
  try {
    // A byte more than is allowed, so that a file without an end takes no memory either.
    bytes = Buffer.concat(await createReadStream(path, { end: MOST_BYTES }).toArray())
  } catch (cause) {
    const code = systemCode(cause)
    if (code === 'EACCES' || code === 'EPERM') throw new ParleyError('config-unreadable', `${path} cannot be read by this user`, { cause, hint: 'Run it again with `sudo`.' })
    throw new ParleyError(isMissing(cause) || code === 'ENOTDIR' ? 'config-missing' : 'bad-config', `cannot read ${path}`, { cause })
  }
  if (bytes.length > MOST_BYTES) throw new ParleyError('bad-config', `${path} has more than ${MOST_BYTES} bytes, as many as a configuration may have`)
  try {
    return parse(bytes.toString('utf8'))
  } catch (error) {
    // TomlError quotes the line, in which a password may stand: only its place is told.
    const where = error instanceof TomlError ? `line ${error.line}, column ${error.column}: ${error.message.split('\n')[0]}` : 'it cannot be read'
    throw new ParleyError('bad-config', `${path} is not TOML: ${where}`)
  }
}

function checked<T>(schema: z.ZodType<T>, raw: unknown, where: string): T {
  const result = schema.safeParse(raw)
  if (result.success) return result.data
  throw complaint(wrongOf(result.error, raw, ''), where)
}

function wrongOf(error: z.ZodError, raw: unknown, prefix: string): Wrong[] {
  const under = (path: readonly PropertyKey[]): string => [...(prefix ? [prefix] : []), ...path.map(String)].join('.')
  return error.issues.flatMap((issue): Wrong[] => {
    if (issue.code === 'unrecognized_keys') {
      return issue.keys.map(key => ({ key: under([...issue.path, key]), value: show(key, valueAt(raw, [...issue.path, key])), expected: 'no such key (is it spelt right?)' }))
    }
    const value = valueAt(raw, issue.path)
    return [{ key: under(issue.path), value: show(issue.path.map(String).find(isSecret) ?? '', value), expected: expectation(issue) }]
  })
}

/** zod says "Invalid input: expected number, received string", "Too big: expected number to be <=200". */
function expectation(issue: z.core.$ZodIssue): string {
  // What is wrong with a key is said by the issues inside; zod's own words are only "Invalid key in record".
  if (issue.code === 'invalid_key') return `a key that is ${issue.issues.map(expectation).join(' and ')}`
  if (issue.code === 'invalid_type' && (issue.expected === 'record' || issue.expected === 'object')) return 'a table ([section])'
  if (issue.code === 'invalid_union') return [...new Set(issue.errors.flat().map(expectation))].join(', or ')
  return issue.message.replace(/^[A-Z][\w ]*: /, '').replace(/^expected /, '').replace(/, received .*$/, '')
}

function valueAt(raw: unknown, path: readonly PropertyKey[]): unknown {
  return path.reduce<unknown>((at, part) => (typeof at === 'object' && at !== null ? Reflect.get(at, part) : undefined), raw)
}

function show(key: string, value: unknown): string | undefined {
  if (value === undefined) return undefined
  if (isSecret(key)) return HIDDEN
  const text = JSON.stringify(value, (k, v: unknown) => (isSecret(k) ? HIDDEN : typeof v === 'bigint' || (typeof v === 'number' && !Number.isFinite(v)) ? String(v) : v)) ?? String(value)
  return text.length > 80 ? `${text.slice(0, 77)}...` : text
}
