import { execFile } from 'node:child_process'
import { readFile, stat } from 'node:fs/promises'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { parse } from 'smol-toml'
import { z } from 'zod'
import { systemClock, type Clock } from '../../base/clock.js'
import { deviceRoot } from '../../base/device-root.js'
import { ParleyError, describe, isMissing, systemCode } from '../../base/errors.js'
import { readJsonIfThere, writeFileAtomic } from '../../base/files.js'
import { readSecret } from '../../base/secret.js'
import { uptime, type Uptime } from '../../base/uptime.js'
import { Hawkbit } from '../fleet/hawkbit.js'
import { hawkbitPermit } from '../fleet/hawkbit-permit.js'
import { PollPace } from '../fleet/poll-pace.js'
import { isProgram, processIo, type Io } from '../io.js'
import { dropEngines, prepareEngines } from '../jetson/prepare.js'
import { channelPath } from '../release/main.js'
import { fateOf } from './fate.js'
import { FINAL } from './job.js'
import { currentRelease, readJournal, readTrial } from './journal.js'
import { Layout } from './layout.js'
import { releaseHash } from './manifest.js'
import { WISH_FILE, wishPermit, type Permit } from './permit.js'
import { updateSettings, type Observation, type UpdateSettings } from './policy.js'
import { realDisk } from './real-disk.js'
import { sourceFor, type Source } from './source.js'
import { isTalking, observe, type Moment } from './status.js'
import { TimeFloor } from './time-floor.js'
import { Trust } from './trust.js'
import { Updater, type UpdateEvent, type UpdateHost } from './updater.js'

export const updateHelp = `
parley update advance    does what can be done now: look, fetch, stage, switch, commit or go back (the timer runs it).
                         A hawkBit server is asked as often as it wishes; --now: at once
parley update status     what runs, what is on trial, what was given up, what is done now and how far, as JSON
parley update roll-back  undoes the release that is on trial

Settings: [update] in /etc/parley/parley.toml; by = "job" leaves the moment to the fleet, [update.hawkbit] to a server. A USB stick: parley update advance --from /media/stick`

export interface Surroundings {
  readonly root: string
  readonly clock: Clock
  /** The machine's own, unless a test says otherwise. */
  readonly uptime?: () => Uptime
  restart(): Promise<void>
}

/** What the updater said last, with how far a download or an engine is; undefined: nothing since the machine started. */
const saidLast = (root: string): Promise<unknown> => readJsonIfThere(join(root, 'run/parley-update/state.json'))

/** 0 done or waiting, 1 refused or failed; the next run goes on. */
export async function updateMain(argv: readonly string[], io: Io, around: Surroundings = { root: deviceRoot(), clock: systemClock, restart }): Promise<number> {
  const [verb, ...rest] = argv
  const from = rest[0] === '--from' ? rest[1] : undefined
  const now = rest[0] === '--now'
  const layout = new Layout(around.root)
  if (verb === 'status') {
    io.out(JSON.stringify({ current: await currentRelease(realDisk, layout), trial: await readTrial(realDisk, layout), journal: brief(await readJournal(realDisk, layout)), now: await saidLast(around.root) }))
    return 0
  }
  if (verb !== 'advance' && verb !== 'roll-back') throw new ParleyError('usage', `there is no ${verb ?? 'empty command'}`, { hint: updateHelp.trim() })
  const settings = await settingsOf(around.root)
  const { signal } = new AbortController() // systemd ends us with its own limit; every state survives that
  const permit = verb === 'roll-back' ? { check: false } : await permitOf(settings, from, now, around, io, signal)
  const place = from ?? settings.from
  const source = permit.source ?? sourceFor(place ?? join(around.root, 'nowhere'), authorities(settings, around.root))
  const host = new Host(around, layout, source, settings, permit, io)
  const updater = new Updater({ disk: realDisk, layout, source, clock: around.clock, settings, arch: process.arch === 'arm64' ? 'arm64' : 'x64', host, ...(around.uptime ? { uptime: around.uptime } : {}) })
  if (verb === 'roll-back') {
    await updater.rollBack('a technician wished it')
    return 0
  }
  let waiting: string | undefined
  let problem: unknown
  try {
    const under = await readJournal(realDisk, layout)
    const other = under.state !== 'idle' && permit.release !== undefined && under.wanted.hash !== permit.release
    if (permit.withdrawn || other) await updater.abandon()
    const pause = await updater.advance(signal, permit.check && (permit.source !== undefined || place !== undefined))
    waiting = pause.waiting
    io.out(waiting === undefined ? pause.state : `${pause.state}: waiting for ${waiting}`)
  } catch (error) {
    problem = error
    io.out(`not now: ${describe(error)}`)
    // The vendor took back what was being fetched: the next run asks anew instead of asking for it for ever.
    if (systemCode(error) === 'update-missing') await updater.abandon()
    await host.note({ state: 'idle', release: permit.release, code: systemCode(error), reason: describe(error) })
  }
  await host.noted()
  const refused = problem !== undefined && FINAL.includes(systemCode(problem) ?? '') ? describe(problem) : undefined
  if (permit.told) {
    const line = await readJournal(realDisk, layout)
    const fate = await fateOf(realDisk, layout, line.state === 'idle' ? host.offered : line.wanted.hash)
    await permit.told({ fate, ...(waiting === undefined ? {} : { waiting }), ...(refused === undefined ? {} : { refused }) }, signal).catch(error => io.out(`the server was not told: ${describe(error)}`))
  }
  // No network is the normal state of many places, and no failure of the unit.
  return systemCode(problem) === 'update-refused' || systemCode(problem) === 'update-tampered' ? 1 : 0
}

const authorities = ({ ca }: UpdateSettings, root: string): { ca?: string } => (ca === undefined ? {} : { ca: join(root, ca) })

/** A technician with a stick needs nobody's permission. */
async function permitOf(settings: UpdateSettings, from: string | undefined, now: boolean, { root, uptime: up = uptime }: Surroundings, io: Io, signal: AbortSignal): Promise<Permit> {
  if (from !== undefined) return { check: true }
  if (!settings.hawkbit) return settings.by === 'job' ? wishPermit(join(root, WISH_FILE)) : { check: true }
  const { url, tokenFile, tokenKind } = settings.hawkbit
  const pace = new PollPace(join(root, 'run/parley-update/next-poll.json'), up)
  const leftMs = now ? 0 : await pace.leftMs()
  // Of what is under way the server is told with every run, and it may take that back.
  if (leftMs > 0 && (await readJournal(realDisk, new Layout(root))).state === 'idle') {
    io.out(`the hawkBit server wants to be asked again in ${Math.ceil(leftMs / 60_000)} min (parley update advance --now: at once)`)
    return { check: false }
  }
  try {
    const hawkbit = new Hawkbit({ url, tokenKind, token: (await readSecret(join(root, tokenFile))).toString('utf8').trim(), ...authorities(settings, root) })
    return await hawkbitPermit(hawkbit, { arch: process.arch, channel: settings.channel }, ms => pace.rest(ms), signal)
  } catch (error) {
    io.out(`not now: ${describe(error)}`)
    // A trial must be judged also without the server; to switch needs its permission of now.
    return { check: false, hold: 'an answer of the hawkBit server' }
  }
}

class Host implements UpdateHost {
  readonly hold?: string
  /** The hash of what the channel has now, once it was asked for. */
  offered: string | undefined
  readonly #around: Surroundings
  readonly #settings: UpdateSettings
  readonly #source: Source
  readonly #only: string | undefined
  readonly #layout: Layout
  readonly #floor: TimeFloor
  readonly #trust: Trust
  readonly #io: Io
  /** The newest note, while one is being written. */
  #next: string | undefined
  #noted = Promise.resolve()

  constructor(around: Surroundings, layout: Layout, source: Source, settings: UpdateSettings, permit: Permit, io: Io) {
    this.#around = around
    this.#layout = layout
    this.#source = source
    this.#settings = settings
    this.#only = permit.release
    this.#io = io
    this.#floor = new TimeFloor(realDisk, layout.timeFloor)
    this.#trust = new Trust(realDisk, layout.trusted, () => readFile(join(around.root, 'etc/parley/root.json')))
    if (permit.hold !== undefined) this.hold = permit.hold
  }

  async manifest(signal: AbortSignal): Promise<Buffer> {
    await realDisk.makeFolder(this.#layout.state)
    const { channel } = this.#settings
    const bytes = await this.#trust.target(channelPath(channel, process.arch), this.#source, await this.#floor.now(this.#wall()), signal)
    await this.#floor.raise(this.#wall(), await exists(join(this.#around.root, 'run/systemd/timesync/synchronized')))
    this.offered = releaseHash(bytes)
    if (this.#only !== undefined && this.#only !== this.offered) throw new ParleyError('update-other', `the channel ${channel} has ${this.offered.slice(0, 12)}, the job asks for ${this.#only.slice(0, 12)}`)
    return bytes
  }

  async stale(): Promise<string | undefined> {
    const until = await this.#trust.goodUntil()
    if (until !== undefined && until > (await this.#floor.now(this.#wall())).getTime()) return undefined
    return `newer signatures: those that are known ${until === undefined ? 'are incomplete' : `ended on ${new Date(until).toISOString().slice(0, 10)}`}`
  }

  prepare(folder: string, signal: AbortSignal): Promise<void> {
    let told = ''
    return prepareEngines(folder, this.#around.root, signal, progress => {
      // A phase once for whoever reads the log; how far it is goes to telemetry and `parley update status`.
      if (progress.reason !== told) this.#io.out(JSON.stringify({ state: 'verified', reason: progress.reason }))
      told = progress.reason
      void this.note({ state: 'verified', ...progress })
    })
  }

  async settled(folder: string, signal: AbortSignal): Promise<void> {
    await dropEngines(folder, this.#around.root, signal).catch(error => this.#io.out(describe(error)))
  }

  busy(): Promise<boolean> {
    return isTalking(this.#moment(), this.#run('talking'))
  }

  restart(): Promise<void> {
    return this.#around.restart()
  }

  observe(): Promise<Observation> {
    return observe(this.#moment(), this.#run('status.json'))
  }

  report(event: UpdateEvent): void {
    if (event.of === undefined) this.#io.out(JSON.stringify(event))
    void this.note(event)
  }

  /**
   * Telemetry and the job read it there; a full disk must not stop an update that may mend it. The last one said is the one that
   * stays: a download says something with each chunk, and what is overtaken while one is being written is left out.
   */
  note(event: object): Promise<void> {
    const writing = this.#next !== undefined
    this.#next = JSON.stringify({ ...event, at: this.#wall() })
    if (!writing) this.#noted = this.#writeNotes()
    return this.#noted
  }

  /** All that was said is written. */
  noted(): Promise<void> {
    return this.#noted
  }

  async #writeNotes(): Promise<void> {
    for (let text = this.#next; text !== undefined; ) {
      await writeFileAtomic(join(this.#around.root, 'run/parley-update/state.json'), text).catch(() => {})
      const newer: string | undefined = this.#next
      text = newer === text ? undefined : newer
    }
    this.#next = undefined
  }

  #run(name: string): string {
    return join(this.#around.root, 'run/parley', name)
  }

  #moment(): Moment {
    return { wall: this.#wall(), upMs: (this.#around.uptime ?? uptime)().ms }
  }

  #wall(): number {
    return this.#around.clock.wall()
  }
}

async function settingsOf(root: string): Promise<UpdateSettings> {
  const path = join(root, 'etc/parley/parley.toml')
  const text = await readFile(path, 'utf8').catch(error => {
    if (isMissing(error)) return ''
    throw error
  })
  const found = z.object({ update: updateSettings.prefault({}) }).safeParse(parse(text))
  if (!found.success) throw new ParleyError('bad-config', `${path}: ${z.prettifyError(found.error)}`)
  return found.data.update
}

function brief(line: Awaited<ReturnType<typeof readJournal>>): unknown {
  return line.state === 'idle' ? line : { ...line, wanted: line.wanted.hash }
}

const exists = async (path: string): Promise<boolean> => (await stat(path).catch(() => undefined)) !== undefined

async function restart(): Promise<void> {
  // A unit that hit its start limit must start too, now that another release is there.
  await promisify(execFile)('systemctl', ['reset-failed', 'parley.service']).catch(() => {}) // it had not failed
  await promisify(execFile)('systemctl', ['restart', '--no-block', 'parley.service'])
}

if (isProgram(import.meta.url)) {
  process.exitCode = await updateMain(process.argv.slice(2), processIo).catch(error => {
    process.stderr.write(`parley update: ${describe(error)}\n`)
    return 5
  })
}
