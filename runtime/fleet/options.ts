import { parseArgs } from 'node:util'
import { ParleyError } from '../../base/errors.js'
import { brokerSettings, nameSchema, type BrokerSettings } from '../telemetry/settings.js'

export interface FleetIo {
  readonly out: (line: string) => void
  readonly err: (line: string) => void
  readonly env: Readonly<Record<string, string | undefined>>
  /** Aborts when the person wants to end `watch`. */
  readonly signal: AbortSignal
}

export interface FleetOptions {
  readonly words: readonly string[]
  readonly broker: BrokerSettings
  /** `+`: every site. */
  readonly site: string
  readonly json: boolean
  readonly limitMs: number
  readonly now: boolean
  readonly values: Readonly<Record<string, string | undefined>>
}

export const USAGE = `parley fleet: the devices at a broker

  parley fleet list                                 who is there, and how they are
  parley fleet watch [device]                       what they tell, as it comes
  parley fleet say <device> <words…>                has a device say something
  parley fleet send <device> <command> [json]       any command: ask, stop, volume, mute, snapshot, restart, logs, bundle-use, config-get
  parley fleet state get <device>                   what is desired, in force, refused, waiting
  parley fleet state set <device> <json>            merges this into what is desired (null takes a key away)
  parley fleet job start <device> <kind> [json]     begins a job (restart, bundle-use); --id, --now
  parley fleet job status <device>
  parley fleet rollout run <plan.json>              a release, group by group; stops by itself above its error threshold
  parley fleet rollout stop <id>                    emergency stop, from anywhere; resume <id> goes on, status <id> tells
  parley fleet provision --ca ca.pem --ca-key ca.key  answers devices that come with a claim (see docs/telemetry.md)
                                                    --replace site/device,…: these may have a second certificate
                                                    --issued DIR, --used FILE: what was given; --days N: how long it lasts

  --broker URL (PARLEY_BROKER)   --site SITE (PARLEY_SITE)   --json   --timeout SECONDS
  --ca FILE --cert FILE --key FILE   --username NAME --password-file FILE (PARLEY_CA, PARLEY_CERT, PARLEY_KEY)
  TRACEPARENT in the environment (W3C): commands and jobs become part of that trace; --json tells their own`

const STRINGS = ['broker', 'site', 'ca', 'cert', 'key', 'username', 'password-file', 'timeout', 'id', 'ca-key', 'used', 'days', 'issued', 'replace'] as const

/** Throws `usage` for what cannot be understood. */
export function parseOptions(argv: readonly string[], env: FleetIo['env']): FleetOptions {
  let parsed
  try {
    const strings = Object.fromEntries(STRINGS.map(name => [name, { type: 'string' as const }]))
    parsed = parseArgs({ args: [...argv], allowPositionals: true, options: { ...strings, json: { type: 'boolean' }, now: { type: 'boolean' } } })
  } catch (cause) {
    throw new ParleyError('usage', cause instanceof Error ? cause.message : String(cause), { cause })
  }
  const values = parsed.values as Record<string, string | boolean | undefined>
  const given = (name: string, variable?: string): string | undefined => (values[name] as string | undefined) ?? (variable ? env[variable] : undefined)
  const seconds = Number(given('timeout') ?? 10)
  if (!(seconds > 0 && seconds <= 600)) throw new ParleyError('usage', '--timeout takes seconds, from 0.1 to 600')
  const pick = (entries: Record<string, string | undefined>): Record<string, string> => Object.fromEntries(Object.entries(entries).filter((e): e is [string, string] => e[1] !== undefined))
  const broker = brokerSettings.safeParse(pick({
    url: given('broker', 'PARLEY_BROKER') ?? 'mqtt://localhost:1883', ca: given('ca', 'PARLEY_CA'), cert: given('cert', 'PARLEY_CERT'), key: given('key', 'PARLEY_KEY'),
    username: given('username'), passwordFile: given('password-file'),
  }))
  if (!broker.success) throw new ParleyError('usage', `--broker: ${broker.error.issues[0]?.message ?? 'wrong'}`)
  const site = given('site', 'PARLEY_SITE') ?? '+'
  if (site !== '+' && !nameSchema.safeParse(site).success) throw new ParleyError('usage', '--site takes letters, digits, - and _')
  return { words: parsed.positionals, broker: broker.data, site, json: values['json'] === true, now: values['now'] === true, limitMs: seconds * 1_000, values: values as Record<string, string | undefined> }
}
