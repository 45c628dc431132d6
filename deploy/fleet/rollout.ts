/** A release to groups of devices, one group after the other, that stops by itself when too many fail. Pure: messages in, orders out. */
export interface Plan {
  readonly id: string
  readonly release: string
  /** In this order: `[['shop-1'], ['shop-2', 'shop-3'], …]`. */
  readonly groups: readonly (readonly string[])[]
  /** Of a group's devices, so many percent may fail; one more, and nothing further is sent. */
  readonly errorPercent: number
  /** Of a group's devices, so many percent must have succeeded before the next group is begun. */
  readonly successPercent: number
}

export type DeviceState = 'waiting' | 'sent' | 'succeeded' | 'failed'
export interface Rollout {
  readonly plan: Plan
  readonly group: number
  readonly devices: Readonly<Record<string, DeviceState>>
  readonly state: 'running' | 'done' | 'stopped'
  readonly reason?: string
}

export type Message =
  | { readonly type: 'start' }
  /** A device's job as it reports it; anything but the two ends is progress. */
  | { readonly type: 'job'; readonly id: string; readonly device: string; readonly state: string }
  | { readonly type: 'emergency-stop'; readonly by: string }
  /** After a stop a person has looked: on with the group that was stopped. */
  | { readonly type: 'resume' }

export type Order = { readonly type: 'send'; readonly device: string; readonly id: string; readonly release: string } | { readonly type: 'cancel'; readonly device: string; readonly id: string }

export function begin(plan: Plan): Rollout {
  const devices = Object.fromEntries(plan.groups.flat().map(device => [device, 'waiting' as const]))
  return { plan, group: 0, devices, state: 'running' }
}

/** Idempotent: a message that comes twice, late or from a device of another rollout changes nothing. */
export function advance(rollout: Rollout, message: Message): { rollout: Rollout; orders: Order[] } {
  if (message.type === 'emergency-stop') return stop(rollout, `emergency stop by ${message.by}`)
  if (message.type === 'resume' && rollout.state === 'stopped') return send({ ...rollout, state: 'running' })
  if (rollout.state !== 'running') return message.type === 'job' ? { rollout: note(rollout, message), orders: [] } : { rollout, orders: [] }
  if (message.type === 'start') return send(rollout)
  if (message.type !== 'job') return { rollout, orders: [] }
  const next = note(rollout, message)
  if (next === rollout) return { rollout, orders: [] }
  const group = next.plan.groups[next.group] ?? []
  const share = (state: DeviceState): number => (100 * group.filter(d => next.devices[d] === state).length) / Math.max(1, group.length)
  if (share('failed') > next.plan.errorPercent) return stop(next, `${Math.round(share('failed'))} % of group ${next.group + 1} failed`)
  if (share('succeeded') < next.plan.successPercent) return { rollout: next, orders: [] }
  if (next.group + 1 >= next.plan.groups.length) return { rollout: { ...next, state: 'done' }, orders: [] }
  return send({ ...next, group: next.group + 1 })
}

/** How it stands, for a person. */
export function summary({ devices, state, group, plan, reason }: Rollout): string {
  const count = (of: DeviceState): number => Object.values(devices).filter(s => s === of).length
  return `${plan.id} ${state}, group ${group + 1} of ${plan.groups.length}: ${count('succeeded')} done, ${count('failed')} failed, ${count('sent')} under way, ${count('waiting')} to come${reason === undefined ? '' : ` (${reason})`}`
}

const ENDS: Readonly<Record<string, DeviceState>> = { done: 'succeeded', succeeded: 'succeeded', failed: 'failed', refused: 'failed', rejected: 'failed', 'timed-out': 'failed', expired: 'failed' }

function note(rollout: Rollout, message: Extract<Message, { type: 'job' }>): Rollout {
  const end = ENDS[message.state.toLowerCase()]
  if (message.id !== rollout.plan.id || end === undefined || rollout.devices[message.device] !== 'sent') return rollout
  return { ...rollout, devices: { ...rollout.devices, [message.device]: end } }
}

function send(rollout: Rollout): { rollout: Rollout; orders: Order[] } {
  const { id, release, groups } = rollout.plan
  const waiting = (groups[rollout.group] ?? []).filter(device => rollout.devices[device] === 'waiting')
  const devices = { ...rollout.devices, ...Object.fromEntries(waiting.map(d => [d, 'sent' as const])) }
  return { rollout: { ...rollout, devices }, orders: waiting.map(device => ({ type: 'send', device, id, release })) }
}

/** Those that have not begun are called back; those that have end by their own trial, forward or back. */
function stop(rollout: Rollout, reason: string): { rollout: Rollout; orders: Order[] } {
  if (rollout.state === 'stopped') return { rollout, orders: [] }
  const under = Object.keys(rollout.devices).filter(d => rollout.devices[d] === 'sent')
  return { rollout: { ...rollout, state: 'stopped', reason }, orders: under.map(device => ({ type: 'cancel', device, id: rollout.plan.id })) }
}

/** What a device does with a job, before it begins: nothing that is old, for another, or not due. */
export interface UpdateJob {
  readonly id: string
  readonly group?: string
  /** Unix ms. */
  readonly notBefore?: number
  readonly expires?: number
}

export function accept(job: UpdateJob, done: ReadonlySet<string>, groups: ReadonlySet<string>, wall: number): 'run' | 'later' | 'again' | 'expired' | 'not-mine' {
  if (done.has(job.id)) return 'again'
  if (job.group !== undefined && !groups.has(job.group)) return 'not-mine'
  if (job.expires !== undefined && wall >= job.expires) return 'expired'
  return job.notBefore !== undefined && wall < job.notBefore ? 'later' : 'run'
}
