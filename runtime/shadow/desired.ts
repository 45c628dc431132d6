import { join } from 'node:path'
import { readFile } from 'node:fs/promises'
import type { z } from 'zod'
import { writeFileAtomic } from '../../base/files.js'
import { ParleyError, describe, isMissing } from '../../base/errors.js'
import type { Logger } from '../../base/log.js'
import type { Link, Message } from '../telemetry/link/link.js'
import type { Topics } from '../telemetry/topics.js'
import { depth, isObject, isUnder, merge, paths, valueAt, type Json, type JsonObject } from './merge.js'

/** Bytes. A kiosk's facts are some kB. */
export const MAX_DESIRED = 64 * 1024
const MAX_DEPTH = 8

export interface Refused {
  /** A key, or empty for the whole document. */
  readonly key: string
  readonly why: string
}

export interface DesiredOptions<C> {
  readonly link: Link
  readonly topics: Topics
  readonly folder: string
  readonly log: Logger
  /** The same that checks the configuration file. */
  readonly schema: z.ZodType<C>
  /** The file as it was read, before defaults. */
  readonly base: JsonObject
  /** Keys that may be changed from afar, with all under them: `facts`, `playout.volume`. */
  readonly allowed: readonly string[]
  /** Those of them that a running process cannot change. */
  readonly restart: readonly string[]
  /** Puts a checked configuration in force, whole. If it throws, it is called again with the one before. */
  readonly apply: (config: C, changed: readonly string[]) => Promise<void>
}

/** On disk: what holds, and what is being tried. `trying` at the start means that the process died of it. */
interface Kept {
  readonly version: number
  readonly state: JsonObject
  readonly trying?: { readonly version: number; readonly state: JsonObject }
}

/**
 * What the fleet's owner wants of the configuration, merged over the device's own file.
 *
 * INVARIANTS
 * - A document is in force whole or not at all; a refused one leaves the last good one.
 * - An accepted one is on disk before it is applied, and one of which the process died is not tried again.
 * - An older version than the last one accepted changes nothing.
 */
export class DesiredState<C> {
  readonly #options: DesiredOptions<C>
  readonly #path: string
  #kept: Kept = { version: 0, state: {} }
  #refused: readonly Refused[] = []
  #refusedVersion: number | undefined
  #waiting = new Set<string>()
  #chain: Promise<void> = Promise.resolve()

  constructor(options: DesiredOptions<C>) {
    this.#options = options
    this.#path = join(options.folder, 'desired.json')
  }

  /** Before the runtime is built: the configuration with what is desired merged in, or the file's alone if that is no longer valid. */
  async load(): Promise<C> {
    this.#kept = await this.#read()
    const { trying } = this.#kept
    if (trying) {
      this.#refuse(trying.version, [{ key: '', why: 'the device stopped while it was applied' }])
      const kept = { version: this.#kept.version, state: this.#kept.state }
      await this.#keep(kept).catch((error: unknown) => {
        this.#options.log.error({ reason: describe(error) }, 'the desired state cannot be written down') // the next start refuses it again
        this.#kept = kept
      })
    }
    const checked = this.#check(this.#kept.state)
    if (checked.config !== undefined) return checked.config
    this.#refuse(this.#kept.version, checked.refused)
    return this.#options.schema.parse(this.#options.base)
  }

  /** Before the link starts, after `load`. */
  start(): void {
    const { link, topics } = this.#options
    link.subscribe(topics.desired, 1, message => { this.#chain = this.#chain.then(() => this.#hear(message)) })
    link.onConnect(() => this.#report())
  }

  /** A part of what holds could not be put in force at the start: the report says so, and the next start tries again. */
  missed(key: string, why: string): void {
    this.#refuse(this.#kept.version, [{ key, why }])
  }

  get version(): number {
    return this.#kept.version
  }

  /** What is said on `…/reported`. */
  reported(): object {
    return {
      version: this.#kept.version,
      inForce: this.#kept.state,
      ...(this.#refusedVersion === undefined ? {} : { refused: { version: this.#refusedVersion, reasons: this.#refused } }),
      waitsForRestart: [...this.#waiting].sort(),
    }
  }

  async close(): Promise<void> {
    await this.#chain
  }

  async #hear(message: Message): Promise<void> {
    if (message.payload.length === 0) return // taken off the broker: what holds goes on holding
    try {
      await this.#take(message.payload)
    } catch (error) {
      this.#options.log.warn({ reason: error instanceof ParleyError ? error.code : 'failed' }, 'desired state refused')
      this.#refuse(versionOf(message.payload), [{ key: '', why: error instanceof ParleyError ? error.message : describe(error) }])
    }
    await this.#report().catch(() => {}) // offline again; it is reported at the next connection
  }

  async #take(payload: Buffer): Promise<void> {
    const { version, state } = parse(payload)
    const before = this.#kept
    const same = JSON.stringify(state) === JSON.stringify(before.state)
    if (version === before.version && same) return
    if (version <= before.version) throw new ParleyError('stale', `version ${version} is not newer than ${before.version}`)
    const checked = this.#check(state)
    if (checked.config === undefined) return this.#refuse(version, checked.refused)
    const changed = [...new Set([...paths(state), ...paths(before.state)])].filter(p => JSON.stringify(valueAt(state, p)) !== JSON.stringify(valueAt(before.state, p)))
    await this.#keep({ ...before, trying: { version, state } })
    try {
      await this.#options.apply(checked.config, changed)
      await this.#keep({ version, state })
    } catch (error) {
      const old = this.#check(before.state).config
      if (old !== undefined) await this.#options.apply(old, changed).catch(() => {}) // as far as it goes; the refusal says what happened
      await this.#keep(before).catch(() => { this.#kept = before }) // on disk it is still being tried: the next start refuses it
      return this.#refuse(version, [{ key: '', why: `it could not be applied: ${describe(error)}` }])
    }
    for (const path of changed) if (isUnder(path, this.#options.restart)) this.#waiting.add(path)
    this.#refused = []
    this.#refusedVersion = undefined
  }

  #check(state: JsonObject): { config?: C; refused: Refused[] } {
    const { allowed, schema, base } = this.#options
    const forbidden = paths(state).filter(path => !isUnder(path, allowed))
    if (forbidden.length > 0) return { refused: forbidden.slice(0, 20).map(key => ({ key, why: 'may not be changed from afar' })) }
    const result = schema.safeParse(merge(base, state))
    if (result.success) return { config: result.data, refused: [] }
    return { refused: result.error.issues.slice(0, 20).map(issue => ({ key: issue.path.map(String).join('.'), why: issue.message })) }
  }

  #refuse(version: number | undefined, reasons: readonly Refused[]): void {
    this.#refusedVersion = version ?? 0
    this.#refused = reasons
  }

  async #report(): Promise<void> {
    await this.#options.link.publish(this.#options.topics.reported, JSON.stringify(this.reported()), { qos: 1, retain: true })
  }

  async #keep(kept: Kept): Promise<void> {
    await writeFileAtomic(this.#path, JSON.stringify(kept), 0o600)
    this.#kept = kept
  }

  async #read(): Promise<Kept> {
    try {
      const kept = JSON.parse(await readFile(this.#path, 'utf8')) as Kept
      if (Number.isSafeInteger(kept.version) && isObject(kept.state)) return kept
    } catch (error) {
      if (!isMissing(error)) this.#options.log.warn({ reason: describe(error) }, 'the desired state on disk cannot be read; the file\'s configuration holds')
    }
    return { version: 0, state: {} }
  }
}

function parse(payload: Buffer): { version: number; state: JsonObject } {
  if (payload.length > MAX_DESIRED) throw new ParleyError('too-large', `${payload.length} bytes; at most ${MAX_DESIRED}`)
  let value: Json
  try {
    value = JSON.parse(new TextDecoder('utf8', { fatal: true }).decode(payload)) as Json
  } catch (cause) {
    throw new ParleyError('malformed', 'it is no JSON', { cause })
  }
  if (!isObject(value) || !Number.isSafeInteger(value['version']) || Number(value['version']) < 1 || !isObject(value['state'])) {
    throw new ParleyError('malformed', 'expected { "version": a whole number from 1, "state": { … } }')
  }
  if (depth(value) > MAX_DEPTH) throw new ParleyError('malformed', `nested deeper than ${MAX_DEPTH} levels`)
  return { version: Number(value['version']), state: value['state'] }
}

/** For the report of a refusal, as far as it can be told. */
function versionOf(payload: Buffer): number | undefined {
  const found = /"version"\s*:\s*(\d{1,15})/.exec(payload.subarray(0, 4_096).toString('latin1'))
  return found ? Number(found[1]) : undefined
}
