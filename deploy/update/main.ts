import { execFile } from 'node:child_process'
import { readFile, stat } from 'node:fs/promises'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { parse } from 'smol-toml'
import { z } from 'zod'
import { systemClock, type Clock } from '../../base/clock.js'
import { ParleyError, describe, isMissing, systemCode } from '../../base/errors.js'
import { writeFileAtomic } from '../../base/files.js'
import { isProgram, processIo, type Io } from '../io.js'
import { prepareEngines } from '../jetson/prepare.js'
import { channelPath } from '../release/main.js'
import { currentRelease, readJournal, readTrial } from './journal.js'
import { Layout } from './layout.js'
import { updateSettings, type UpdateSettings } from './policy.js'
import { realDisk } from './real-disk.js'
import { sourceFor, type Source } from './source.js'
import { isTalking, observe } from './status.js'
import { TimeFloor } from './time-floor.js'
import { Trust } from './trust.js'
import { Updater, type UpdateEvent, type UpdateHost } from './updater.js'

export const updateHelp = `
parley update advance    does what can be done now: look, fetch, stage, switch, commit or go back (the timer runs it)
parley update status     what runs, what is on trial, what was given up, as JSON
parley update roll-back  undoes the release that is on trial

Settings: [update] in /etc/parley/parley.toml. A USB stick: parley update advance --from /media/stick`

export interface Surroundings {
  readonly root: string
  readonly clock: Clock
  restart(): Promise<void>
}

/** 0 done or waiting, 1 refused or failed; the next run goes on. */
export async function updateMain(argv: readonly string[], io: Io, around: Surroundings = { root: process.env['PARLEY_ROOT'] ?? '/', clock: systemClock, restart }): Promise<number> {
  const [verb, ...rest] = argv
  const from = rest[0] === '--from' ? rest[1] : undefined
  const layout = new Layout(around.root)
  if (verb === 'status') {
    io.out(JSON.stringify({ current: await currentRelease(realDisk, layout), trial: await readTrial(realDisk, layout), journal: brief(await readJournal(realDisk, layout)) }))
    return 0
  }
  if (verb !== 'advance' && verb !== 'roll-back') throw new ParleyError('usage', `there is no ${verb ?? 'empty command'}`, { hint: updateHelp.trim() })
  const settings = await settingsOf(around.root)
  const place = from ?? settings.from
  const source = sourceFor(place ?? join(around.root, 'nowhere'))
  const updater = new Updater({ disk: realDisk, layout, source, clock: around.clock, settings, arch: process.arch === 'arm64' ? 'arm64' : 'x64', host: hostOf(around, layout, source, settings, io) })
  const { signal } = new AbortController() // systemd ends us with its own limit; every state survives that
  if (verb === 'roll-back') {
    await updater.rollBack('a technician wished it')
    return 0
  }
  try {
    const { state, waiting } = await updater.advance(signal, place !== undefined)
    io.out(waiting === undefined ? state : `${state}: waiting for ${waiting}`)
    return 0
  } catch (error) {
    io.out(`not now: ${describe(error)}`)
    // No network is the normal state of many places, and no failure of the unit.
    return systemCode(error) === 'update-refused' || systemCode(error) === 'update-tampered' ? 1 : 0
  }
}

function hostOf(around: Surroundings, layout: Layout, source: Source, settings: UpdateSettings, io: Io): UpdateHost {
  const run = (name: string): string => join(around.root, 'run/parley', name)
  const floor = new TimeFloor(realDisk, layout.timeFloor)
  const trust = new Trust(realDisk, layout.trusted, () => readFile(join(around.root, 'etc/parley/root.json')))
  const wall = (): number => around.clock.wall()
  return {
    manifest: async signal => {
      await realDisk.makeFolder(layout.state)
      const bytes = await trust.target(channelPath(settings.channel, process.arch), source, await floor.now(wall()), signal)
      await floor.raise(wall(), await exists(join(around.root, 'run/systemd/timesync/synchronized')))
      return bytes
    },
    prepare: (folder, signal) => prepareEngines(folder, around.root, signal, progress => report({ state: 'verified', reason: progress })),
    busy: () => isTalking(wall(), run('talking')),
    restart: around.restart,
    observe: () => observe(wall(), run('status.json')),
    report,
  }
  function report(event: UpdateEvent): void {
    if (event.of === undefined) io.out(JSON.stringify(event))
    // Telemetry reads it there; a full disk must not stop an update that may mend it.
    void writeFileAtomic(join(around.root, 'run/parley-update/state.json'), JSON.stringify({ ...event, at: wall() })).catch(() => {})
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
