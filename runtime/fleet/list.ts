import { parseTopic } from '../telemetry/topics.js'
import { everyDevice, type Owner } from './owner.js'
import { plain, table } from './table.js'

export interface Listed {
  readonly site: string
  readonly device: string
  readonly online: boolean
  /** Why a fallback speaks in the voice's place; undefined: none does. */
  readonly outOfService?: string
  readonly state: Readonly<Record<string, unknown>>
}

/** Every device of which the broker knows, by site and name. */
export async function list(owner: Owner, site: string): Promise<Listed[]> {
  const found = await owner.retained([everyDevice(site, 'availability'), everyDevice(site, 'state'), everyDevice(site, 'out-of-service')])
  const devices = new Map<string, { site: string; device: string; online: boolean; outOfService?: string; state: Record<string, unknown> }>()
  for (const [topic, payload] of found) {
    const at = parseTopic(topic)
    if (!at) continue
    const key = `${at.site}/${at.device}`
    const device = devices.get(key) ?? { site: at.site, device: at.device, online: false, state: {} }
    if (at.leaf === 'availability') device.online = payload.toString('utf8') === 'online'
    else if (at.leaf === 'out-of-service') device.outOfService = String(object(payload)['why'] ?? 'unknown')
    else device.state = object(payload)
    devices.set(key, device)
  }
  return [...devices.values()].sort((a, b) => `${a.site}/${a.device}`.localeCompare(`${b.site}/${b.device}`))
}

export function listTable(devices: readonly Listed[], now: number): string[] {
  const rows = devices.map(({ site, device, online, outOfService, state }) => [
    plain(site), plain(device), online ? (state['problem'] === true ? 'ill' : 'online') : outOfService === undefined ? 'offline' : `out: ${plain(outOfService)}`, number(state['first_sound'], 'ms'), number(state['step_p95'], 'ms'),
    plain(state['turns']), number(state['temperature'], '°C'), number(state['battery'], '%'), number(state['backlog'], ''), plain(state['version']), ago(state['at'], now),
  ])
  return table(['SITE', 'DEVICE', 'IS', 'FIRST SOUND', 'STEP p95', 'TURNS', 'TEMP', 'BATTERY', 'BACKLOG', 'VERSION', 'SEEN'], rows)
}

export function object(payload: Buffer): Record<string, unknown> {
  try {
    const value: unknown = JSON.parse(payload.toString('utf8'))
    return typeof value === 'object' && value !== null ? (value as Record<string, unknown>) : {}
  } catch {
    return {} // somebody else's garbage on our topic must not hide the other devices
  }
}

const number = (value: unknown, unit: string): string => (typeof value === 'number' ? `${Math.round(value * 10) / 10}${unit && ` ${unit}`}` : '–')

function ago(at: unknown, now: number): string {
  if (typeof at !== 'number') return '–'
  const s = Math.max(0, Math.round((now - at) / 1_000))
  return s < 120 ? `${s} s ago` : s < 7_200 ? `${Math.round(s / 60)} min ago` : `${Math.round(s / 3_600)} h ago`
}
