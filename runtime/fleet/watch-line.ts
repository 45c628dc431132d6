import { METRICS, type MetricKey } from '../telemetry/metrics.js'
import { object } from './list.js'
import { plain } from './table.js'

/** Of a state only what changes with the talk and the day; all of it is in `--json`. */
const OF_STATE: readonly MetricKey[] = ['problem', 'turns', 'first_sound', 'barge_in', 'step_p95', 'temperature', 'battery', 'errors', 'backlog']

/** What a device told, on one line that a person can read. */
export function watchLine(leaf: string, payload: Buffer): string {
  if (leaf === 'availability') return plain(payload.toString('utf8'))
  const value = object(payload)
  if (leaf === 'state') return OF_STATE.filter(key => value[key] !== undefined).map(key => `${key}=${plain(value[key])}${unitOf(key)}`).join(' ')
  if (leaf === 'jobs') return lastJob(value['jobs'])
  if (leaf === 'reported') return reported(value)
  return Object.entries(value).filter(([key, v]) => key !== 'id' && (typeof v !== 'object' || v === null)).map(([key, v]) => `${plain(key)}=${plain(v)}`).join(' ')
}

const unitOf = (key: MetricKey): string => (METRICS[key].unit === 'ms' ? ' ms' : '')

function lastJob(jobs: unknown): string {
  const job = Array.isArray(jobs) ? (jobs.at(-1) as Record<string, unknown> | undefined) : undefined
  return job ? `${plain(job['id'])} ${plain(job['kind'])} ${plain(job['state'])}${job['reason'] === undefined ? '' : ` (${plain(job['reason'])})`}` : 'none'
}

function reported({ version, refused, waitsForRestart }: Record<string, unknown>): string {
  const { version: no, reasons } = (refused ?? {}) as { version?: unknown; reasons?: { key?: unknown; why?: unknown }[] }
  const why = Array.isArray(reasons) && reasons[0] ? ` (${plain(reasons[0].key)} ${plain(reasons[0].why)})` : ''
  const waits = Array.isArray(waitsForRestart) && waitsForRestart.length > 0 ? ` after a restart: ${waitsForRestart.map(plain).join(', ')}` : ''
  return `version=${plain(version)}${no === undefined ? '' : ` refused=${plain(no)}${why}`}${waits}`
}
