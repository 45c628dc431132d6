import { readdir, readFile } from 'node:fs/promises'
import { listSoundDevices } from '../compose/sound-devices.js'
import { drivers } from '../../drivers/table.js'
import { EXIT, parse, say, table, type Command } from './command.js'

const help = `
parley devices [--json]

Lists what can be named in the configuration: microphones and speakers by their stable names, cameras, and all drivers.

Exit codes: 0.`

interface Row { readonly kind: string; readonly driver: string; readonly device: string; readonly note: string }

/** Video4Linux nodes by their stable link where there is one. */
async function cameras(): Promise<Row[]> {
  const byId = await readdir('/dev/v4l/by-id').catch(() => [])
  if (byId.length) return byId.map(name => ({ kind: 'camera', driver: 'opencv, ffmpeg', device: `/dev/v4l/by-id/${name}`, note: '' }))
  const nodes = (await readdir('/dev').catch(() => [])).filter(name => /^video\d+$/.test(name))
  return Promise.all(nodes.map(async name => ({ kind: 'camera', driver: 'opencv, ffmpeg', device: `/dev/${name}`, note: (await readFile(`/sys/class/video4linux/${name}/name`, 'utf8').catch(() => '')).trim() })))
}

async function run(args: readonly string[]): Promise<number> {
  const { json } = parse(args, { json: { type: 'boolean', default: false } })
  const sound = (await listSoundDevices()).map((d): Row => ({ kind: d.direction, driver: d.direction === 'speaker' && d.system === 'pulse' ? 'pipe' : d.direction === 'speaker' ? 'speaker' : d.system, device: d.name, note: d.note }))
  const found = [...sound, ...(await cameras())]
  const known = Object.fromEntries(Object.entries(drivers).map(([kind, rows]) => [kind, Object.keys(rows)]))
  if (json) {
    say(JSON.stringify({ devices: found, drivers: known }, null, 2))
    return EXIT.ok
  }
  say(found.length ? table(['kind', 'driver', 'device', ''], found.map(r => [r.kind, r.driver, r.device, r.note])) : 'No microphone, speaker or camera was found.')
  say(`\n${table(['kind', 'drivers'], Object.entries(known).map(([kind, names]) => [kind, names.join(', ')]))}`)
  return EXIT.ok
}

export const command: Command = { summary: 'lists microphones, speakers, cameras and drivers', help, run }
