import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { isSurelyThere, isThere, readJsonIfThere } from '../../base/files.js'
import type { Seen } from '../../base/finding.js'
import { MENDS, lastFailure } from '../../deploy/fallback/why.js'
import { drift } from '../../deploy/install/drift.js'
import type { Machine } from '../../deploy/jetson/machine.js'
import { currentRelease, readJournal, readTrial } from '../../deploy/update/journal.js'
import { Layout, MANIFEST_FILE } from '../../deploy/update/layout.js'
import { parseManifest, type Manifest } from '../../deploy/update/manifest.js'
import { realDisk } from '../../deploy/update/real-disk.js'
import { TimeFloor } from '../../deploy/update/time-floor.js'
import { Trust } from '../../deploy/update/trust.js'
import type { Config } from '../config/schema.js'
import { figure, type Check } from './check.js'

/** All that is asked of the device around us; a test hands another one in. */
export interface Device {
  /** `/`, or a folder with the files of a device. */
  readonly root: string
  readonly machine: Machine
  wall(): number
  /** Bytes that are free below a folder. */
  freeBytes(path: string): Promise<number>
}

const DAY_MS = 86_400_000
/** systemctl and timedatectl answer in some 10 ms; a bus that hangs must not hang the report, ms. */
const ASK_LIMIT_MS = 5_000
/** Of /var/lib/parley, MB: settings and a day of telemetry. */
const LEAST_STATE_MB = 16
/** There where install.sh --screen enabled it. */
const SCREEN = 'etc/systemd/system/parley.target.wants/parley-screen.service'
const INSTALL = 'sudo sh /opt/parley/current/app/deploy/install.sh'

/** The clock everywhere; the rest only where parley is installed. */
export async function deviceChecks(config: Config, device: Device): Promise<Check[]> {
  const layout = new Layout(device.root)
  const clock: Check = { what: 'clock', needed: false, always: true, look: () => clockSeen(device, layout) }
  if ((await currentRelease(realDisk, layout)) === undefined) return [clock]
  return [
    clock,
    { what: 'disk', needed: false, look: () => diskSeen(config, device, layout) },
    { what: 'service', needed: false, always: true, look: () => serviceSeen(device) },
    { what: 'update', needed: false, look: () => updateSeen(config, device, layout) },
    ...((await isThere(join(device.root, SCREEN))) ? [{ what: 'screen', needed: false, always: true as const, look: () => screenSeen(device) }] : []),
    { what: 'installed files', needed: false, always: true, look: () => driftSeen(device) },
  ]
}

async function clockSeen(device: Device, layout: Layout): Promise<Seen> {
  const now = device.wall()
  const floor = await new TimeFloor(realDisk, layout.timeFloor).now(0)
  const text = `${new Date(now).toISOString().slice(0, 16).replace('T', ' ')} UTC`
  const mend = 'the network, then: sudo timedatectl set-ntp true (or by hand: sudo timedatectl set-time "2026-01-31 12:00")'
  if (now < floor.getTime()) return { state: 'fail', seen: `${text} is before ${floor.toISOString().slice(0, 10)}, a time that was good once: certificates are refused`, mend }
  const synchronised = (await isThere(join(device.root, 'run/systemd/timesync/synchronized'))) || (await ask(device.machine, ['timedatectl', 'show', '-p', 'NTPSynchronized', '--value']))?.[0] === 'yes'
  return synchronised ? { state: 'ok', seen: `${text}, synchronised` } : { state: 'warn', seen: `${text}, not synchronised: it may be wrong`, mend }
}

async function diskSeen(config: Config, device: Device, layout: Layout): Promise<Seen> {
  const state = join(device.root, 'var/lib/parley')
  const [appMb, stateMb] = await Promise.all([layout.releases, state].map(async path => (await device.freeBytes(path)) / 1e6)) as [number, number]
  const manifest = await manifestOf(layout)
  // As the updater reckons, for a release of this size of which no part is here.
  const needMb = (manifest?.parts ?? []).reduce((sum, p) => sum + p.bytes + p.unpackedBytes, 0) / 1e6 + config.update.reserveMegabytes
  const seen = `${figure(appMb)} MB free below /opt/parley, ${figure(stateMb)} MB below /var/lib/parley`
  const mend = 'sudo journalctl --vacuum-size=100M; du -xh --max-depth=2 / | sort -h | tail'
  if (stateMb < LEAST_STATE_MB) return { state: 'fail', seen: `${seen}: settings and records cannot be kept`, mend }
  return appMb < needMb ? { state: 'warn', seen: `${seen}: the next release may need ${figure(needMb)}`, mend } : { state: 'ok', seen }
}

async function serviceSeen(device: Device): Promise<Seen> {
  const failure = lastFailure((await device.machine.text('/var/lib/parley/last-failure')) ?? '')
  const lines = (await ask(device.machine, ['systemctl', 'show', '-p', 'ActiveState', '-p', 'NRestarts', 'parley.service', 'parley-fallback.service'])) ?? []
  const [voice, fallback] = lines.filter(l => l.startsWith('ActiveState=')).map(l => l.slice('ActiveState='.length))
  const restarts = Number(lines.find(l => l.startsWith('NRestarts='))?.slice('NRestarts='.length) ?? 0)
  const day = failure?.at === undefined ? '' : ` on ${new Date(failure.at).toISOString().slice(0, 16).replace('T', ' ')} UTC`
  const last = failure ? `last failure: ${failure.why}${day}` : 'no failure noted'
  const seen = `${voice === undefined ? 'systemd does not answer' : `${voice}${restarts ? `, restarted ${restarts} times` : ''}`}; ${last}`
  const mend = (failure && MENDS[failure.why]) ?? 'journalctl -u parley -n 200'
  const again = 'sudo systemctl reset-failed parley && sudo systemctl start parley'
  if (fallback === 'active' || voice === 'failed') return { state: 'fail', seen: fallback === 'active' ? `out of service; ${last}` : seen, mend: `${mend}; then: ${again}` }
  const recent = failure !== undefined && (failure.at === undefined || Math.abs(device.wall() - failure.at) < DAY_MS)
  return recent ? { state: 'warn', seen, mend } : { state: 'ok', seen }
}

async function screenSeen(device: Device): Promise<Seen> {
  const lines = (await ask(device.machine, ['systemctl', 'show', '-p', 'ActiveState', '-p', 'NRestarts', '-p', 'ConditionResult', 'parley-screen.service'])) ?? []
  const of = (name: string): string => lines.find(l => l.startsWith(`${name}=`))?.slice(name.length + 1) ?? ''
  if (of('ConditionResult') === 'no') return { state: 'warn', seen: 'not started: no graphics card (/dev/dri), or cage is missing', mend: 'the cable and the driver: ls /dev/dri; cage and Chromium: sudo deploy/install.sh --screen' }
  if (of('ActiveState') !== 'active') return { state: 'warn', seen: of('ActiveState') || 'systemd does not answer', mend: 'journalctl -u parley-screen -n 50; then: sudo systemctl restart parley-screen' }
  // Port 8137 with a socket that listens, as screen.sh looks for it.
  const served = /:1FC9 00000000:0000 0A /.test((await device.machine.text('/proc/net/tcp')) ?? '')
  if (!served) return { state: 'warn', seen: 'it waits: nobody serves http://127.0.0.1:8137/', mend: 'start the program that serves the page' }
  const restarts = Number(of('NRestarts'))
  return { state: 'ok', seen: `it shows http://127.0.0.1:8137/${restarts ? `, begun anew ${restarts} times` : ''}` }
}

async function updateSeen(config: Config, device: Device, layout: Layout): Promise<Seen> {
  const [line, trial, manifest, said] = await Promise.all([readJournal(realDisk, layout), readTrial(realDisk, layout), manifestOf(layout), readJsonIfThere(join(device.root, 'run/parley-update/state.json'))])
  const { code, reason } = (said ?? {}) as { code?: unknown; reason?: unknown }
  const runs = `release ${manifest?.version ?? 'unknown'}`
  if (!(await isSurelyThere(join(device.root, 'etc/parley/root.json')))) return { state: 'warn', seen: `${runs}; the vendor's root is missing: no update is accepted`, mend: `${INSTALL} --trust 1.root.json` }
  if (trial) {
    const starts = Number(/count=(\d+)/.exec((await device.machine.text('/var/lib/parley-update/boots')) ?? '')?.[1] ?? 0)
    const seen = `${runs} is on trial${starts > 1 ? `, started ${starts} times without an answer` : ''}`
    return starts > 1 ? { state: 'warn', seen, mend: 'journalctl -u parley; to undo it: sudo parley update roll-back' } : { state: 'ok', seen }
  }
  if (line.state !== 'idle') return { state: 'ok', seen: `${runs}; another one is ${line.state}` }
  if (config.update.from === undefined && config.update.hawkbit === undefined) return { state: 'ok', seen: `${runs}; none are asked for ([update] from)` }
  if (code === 'update-refused' || code === 'update-tampered') return { state: 'fail', seen: `${runs}; refused: ${String(reason)}`, mend: 'tell the vendor; from another source: sudo parley update advance --from /media/stick' }
  // Led by jobs or a server it asks nothing until one comes.
  const asks = config.update.by === 'timer' && config.update.hawkbit === undefined
  const until = !asks ? undefined : await new Trust(realDisk, layout.trusted, () => readFile(join(device.root, 'etc/parley/root.json'))).goodUntil()
  if (until !== undefined && until < device.wall()) return { state: 'warn', seen: `${runs}; nothing new was heard of the vendor, whose signatures ended on ${new Date(until).toISOString().slice(0, 10)}`, mend: 'sudo parley update advance' }
  const given = line.failed.at(-1)
  if (given) return { state: 'warn', seen: `${runs}; ${given.hash.slice(0, 12)} was given up: ${given.reason}`, mend: 'tell the vendor: his next release is tried by itself' }
  return { state: 'ok', seen: `${runs}, nothing under way` }
}

async function driftSeen(device: Device): Promise<Seen> {
  const differ = await drift(device.root)
  if (differ.length === 0) return { state: 'ok', seen: 'units and guard are those of the release' }
  const more = differ.length > 3 ? ` and ${differ.length - 3} more` : ''
  return { state: 'warn', seen: `${differ.slice(0, 3).map(path => `/${path}`).join(', ')}${more} are not those of the release that runs`, mend: INSTALL }
}

async function manifestOf(layout: Layout): Promise<Manifest | undefined> {
  const bytes = await realDisk.read(join(layout.current, MANIFEST_FILE))
  return bytes && parseManifest(bytes)
}

/** What a program said, line by line; undefined where it is not there or fails. */
async function ask(machine: Machine, command: readonly string[]): Promise<string[] | undefined> {
  const lines: string[] = []
  const code = await machine.run(command, line => void lines.push(line), AbortSignal.timeout(ASK_LIMIT_MS)).catch(() => 1) // not installed
  return code === 0 ? lines : undefined
}
