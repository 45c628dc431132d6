import { randomBytes } from 'node:crypto'
import { ParleyError, describe } from '../../base/errors.js'
import { MAX_REQUEST } from '../commands/request.js'
import { MAX_DESIRED } from '../shadow/desired.js'
import { merge, type JsonObject } from '../shadow/merge.js'
import { parseTopic, topicsOf } from '../telemetry/topics.js'
import { newSpan } from '../telemetry/trace.js'
import { list, listTable, object } from './list.js'
import { parseOptions, USAGE, type FleetIo, type FleetOptions } from './options.js'
import { Owner, everyDevice } from './owner.js'
import { registrar } from './registrar.js'
import { resumeRollout, rolloutStatus, runRollout, stopRollout } from './rollout.js'
import { plain, table } from './table.js'
import { watchLine } from './watch-line.js'

export type { FleetIo } from './options.js'

type Verb = (owner: Owner, words: readonly string[], options: FleetOptions, io: FleetIo) => Promise<number>

const VERBS: Readonly<Record<string, Verb>> = {
  list: async (owner, _words, options, io) => {
    const devices = await list(owner, options.site)
    if (options.json) io.out(JSON.stringify(devices))
    else if (devices.length === 0) io.out('The broker knows of no device.')
    else for (const line of listTable(devices, Date.now())) io.out(line)
    return 0
  },
  watch: async (owner, [device], options, io) => {
    const leaves = ['availability', 'out-of-service', 'state', 'turn', 'event', 'backfill', 'reported', 'jobs']
    const filters = leaves.map(leaf => everyDevice(options.site, leaf).replace('/+/' + leaf, `/${device ?? '+'}/${leaf}`))
    await owner.watch(filters, (topic, payload) => show(topic, payload, options.json, io), io.signal)
    return 0
  },
  say: (owner, [device, ...words], options, io) => command(owner, device, 'say', { text: words.join(' ') }, options, io),
  send: (owner, [device, name, json], options, io) => command(owner, device, need(name, 'a command'), jsonOf(json), options, io),
  'state get': async (owner, [device], options, io) => {
    const { desired, reported } = await stateOf(owner, await place(owner, device, options))
    if (options.json) io.out(JSON.stringify({ desired, reported }))
    else for (const line of stateLines(desired, reported)) io.out(line)
    return 0
  },
  'state set': async (owner, [device, json], options, io) => {
    const at = await place(owner, device, options)
    const patch = jsonOf(need(json, 'the changes, as JSON'))
    const { desired, reported } = await stateOf(owner, at)
    // The device refuses what is not newer than what it has, also where the broker has lost what was desired.
    const version = Math.max(Number(desired['version'] ?? 0), Number(reported['version'] ?? 0)) + 1
    const base = desired['version'] === undefined ? reported['inForce'] : desired['state']
    await owner.publish(topicsOf(at.site, at.device).desired, small({ version, state: merge((base ?? {}) as JsonObject, patch) }, MAX_DESIRED), true)
    return confirm(owner, at, version, options, io)
  },
  'job start': async (owner, [device, kind, json], options, io) => {
    const at = await place(owner, device, options)
    const id = options.values['id'] ?? `job-${randomBytes(4).toString('hex')}`
    const traceparent = newSpan(io.env['TRACEPARENT'])
    await owner.publish(topicsOf(at.site, at.device).job, small({ id, kind: need(kind, 'a kind of job'), args: jsonOf(json), now: options.now }), false, traceparent)
    io.out(options.json ? JSON.stringify({ id, traceparent }) : `job ${id} was sent; see: parley fleet job status ${at.device}`)
    return 0
  },
  'job status': async (owner, [device], options, io) => {
    const { site, device: name } = await place(owner, device, options)
    const topic = topicsOf(site, name).jobs
    const found = (await owner.retained([topic])).get(topic)
    const jobs = (object(found ?? Buffer.from('{}'))['jobs'] ?? []) as Record<string, unknown>[]
    if (options.json) io.out(JSON.stringify(jobs))
    else for (const line of table(['JOB', 'KIND', 'STATE', 'WHY'], jobs.map(j => [plain(j['id']), plain(j['kind']), plain(j['state']), plain(j['reason'] ?? '')]))) io.out(line)
    return 0
  },
  'rollout run': (owner, [file], _options, io) => runRollout(owner, need(file, 'a plan'), io),
  'rollout resume': (owner, [id], _options, io) => resumeRollout(owner, need(id, 'the id of a rollout'), io),
  'rollout stop': (owner, [id], _options, io) => stopRollout(owner, need(id, 'the id of a rollout'), io),
  'rollout status': (owner, [id], options, io) => rolloutStatus(owner, need(id, 'the id of a rollout'), options.json, io),
  provision: (owner, _words, options, io) => registrar(owner, options, io),
}

/** `parley fleet …`. Returns the exit code: 0, 1 if the device or the broker said no, 2 for a wrong command line. */
export async function fleetMain(argv: readonly string[], io: FleetIo): Promise<number> {
  try {
    const options = parseOptions(argv, io.env)
    const [first = '', second = '', ...rest] = options.words
    const name = Object.hasOwn(VERBS, first) ? first : `${first} ${second}`
    if (!Object.hasOwn(VERBS, name)) {
      io.err(USAGE)
      return 2
    }
    await using owner = await Owner.open(options.broker)
    return await VERBS[name]!(owner, name === first ? options.words.slice(1) : rest, options, io)
  } catch (error) {
    io.err(describe(error))
    return error instanceof ParleyError && error.code === 'usage' ? 2 : 1
  }
}

interface Place {
  readonly site: string
  readonly device: string
}

/** `device` or `site/device`; without a site, the only device of that name. */
async function place(owner: Owner, word: string | undefined, options: FleetOptions): Promise<Place> {
  const [a, b] = need(word, 'a device').split('/')
  if (b !== undefined) return { site: a!, device: b }
  if (options.site !== '+') return { site: options.site, device: a! }
  const same = (await list(owner, '+')).filter(d => d.device === a)
  if (same.length === 1) return same[0]!
  throw new ParleyError('usage', same.length === 0 ? `no device ${a} is known` : `${a} is at several sites: ${same.map(d => d.site).join(', ')}`, { hint: 'See: parley fleet list' })
}

async function command(owner: Owner, word: string | undefined, name: string, args: object, options: FleetOptions, io: FleetIo): Promise<number> {
  const { site, device } = await place(owner, word, options)
  const traceparent = newSpan(io.env['TRACEPARENT'])
  const answer = await owner.ask(site, device, name, small(args), options.limitMs, traceparent)
  if (options.json) io.out(JSON.stringify({ ...answer, traceparent }))
  else if (!answer.ok) io.err(`${device} said no: ${plain(answer.error?.code)}: ${plain(answer.error?.message)}`)
  else io.out(answer.result === null || answer.result === undefined ? `${device}: done` : JSON.stringify(answer.result, undefined, 2))
  return answer.ok ? 0 : 1
}

async function stateOf(owner: Owner, { site, device }: Place): Promise<{ desired: Record<string, unknown>; reported: Record<string, unknown> }> {
  const topics = topicsOf(site, device)
  const found = await owner.retained([topics.desired, topics.reported])
  const of = (topic: string): Record<string, unknown> => object(found.get(topic) ?? Buffer.from('{}'))
  return { desired: of(topics.desired), reported: of(topics.reported) }
}

/** Waits until the device has said what became of this version. */
async function confirm(owner: Owner, at: Place, version: number, options: FleetOptions, io: FleetIo): Promise<number> {
  for (const end = performance.now() + options.limitMs; performance.now() < end;) {
    const { reported } = await stateOf(owner, at)
    const refused = reported['refused'] as { version?: number; reasons?: { key: string; why: string }[] } | undefined
    if (reported['version'] !== version && refused?.version !== version) continue
    const ok = reported['version'] === version
    if (options.json) io.out(JSON.stringify(reported))
    else if (ok) io.out(`version ${version} is in force${(reported['waitsForRestart'] as string[]).length ? '; after a restart: ' + (reported['waitsForRestart'] as string[]).join(', ') : ''}`)
    else for (const { key, why } of refused?.reasons ?? []) io.err(`refused: ${plain(key)}${key ? ': ' : ''}${plain(why)}`)
    return ok ? 0 : 1
  }
  io.err(`version ${version} is at the broker; ${at.device} has not taken it yet`)
  return 1
}

function stateLines(desired: Record<string, unknown>, reported: Record<string, unknown>): string[] {
  const refused = reported['refused'] as { version?: number; reasons?: { key: string; why: string }[] } | undefined
  return [
    `desired   version ${plain(desired['version'])}`, `in force  version ${plain(reported['version'])}`,
    ...JSON.stringify(reported['inForce'] ?? {}, undefined, 2).split('\n').map(line => `  ${line}`),
    ...(refused ? [`refused   version ${plain(refused.version)}`, ...(refused.reasons ?? []).map(r => `  ${plain(r.key)} ${plain(r.why)}`)] : []),
    ...((reported['waitsForRestart'] as string[] | undefined)?.length ? [`waits for a restart: ${(reported['waitsForRestart'] as string[]).join(', ')}`] : []),
  ]
}

function show(topic: string, payload: Buffer, json: boolean, io: FleetIo): void {
  const at = parseTopic(topic)
  if (!at) return
  if (json) return io.out(JSON.stringify({ site: at.site, device: at.device, what: at.leaf, value: at.leaf === 'availability' ? payload.toString('utf8') : object(payload) }))
  io.out(`${new Date().toISOString().slice(11, 19)}  ${at.site}/${at.device}  ${at.leaf.padEnd(12)} ${watchLine(at.leaf, payload)}`)
}

function need(word: string | undefined, what: string): string {
  if (word) return word
  throw new ParleyError('usage', `${what} is missing`, { hint: 'See: parley fleet' })
}

/** A device refuses what is larger, and gets nothing of what is much larger: then there would be no answer either. */
function small<T extends object>(request: T, most = MAX_REQUEST): T {
  const bytes = Buffer.byteLength(JSON.stringify(request))
  if (bytes > most) throw new ParleyError('usage', `the request has ${bytes} bytes; a device takes ${most}`)
  return request
}

function jsonOf(text: string | undefined): JsonObject {
  try {
    const value: unknown = JSON.parse(text ?? '{}')
    if (typeof value === 'object' && value !== null && !Array.isArray(value)) return value as JsonObject
  } catch {
    // said below, with an example
  }
  throw new ParleyError('usage', 'expected a JSON object', { hint: `For example: '{"facts":{"toilet":"first floor"}}'` })
}
