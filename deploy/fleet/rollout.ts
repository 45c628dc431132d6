import { z } from 'zod'

/** A release to groups of devices, one group after the other, that stops by itself when too many fail. Pure: messages in, orders out. */
export const planSchema = z.strictObject({
  id: z.string().regex(/^[A-Za-z0-9-]{1,40}$/, '1 to 40 letters, digits and -'),
  /** The SHA-256 of the signed manifest: `parley release build` prints it. */
  release: z.string().regex(/^[0-9a-f]{64}$/, 'the SHA-256 of a manifest'),
  /** `site/device`, in this order: `[['north/1'], ['north/2', 'south/1'], …]`. */
  groups: z.array(z.array(z.string().regex(/^[A-Za-z0-9_-]{1,40}\/[A-Za-z0-9_-]{1,40}$/, 'site/device')).min(1)).min(1)
    .refine(groups => new Set(groups.flat()).size === groups.flat().length, 'a device stands in two places'),
  /** Of a group's devices, so many percent may fail; one more, and nothing further is sent. */
  errorPercent: z.number().min(0).max(100).default(10),
  /** Of a group's devices, so many percent must have succeeded before the next group is begun. */
  successPercent: z.number().min(0).max(100).default(90),
})
export type Plan = Readonly<z.infer<typeof planSchema>>

export type DeviceState = 'waiting' | 'sent' | 'succeeded' | 'failed'
export interface Rollout {
  readonly plan: Plan
  readonly group: number
  /** Counts the resumes: a job's id is carried out once, so each try needs its own. */
  readonly attempt: number
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
  return { plan, group: 0, attempt: 0, devices, state: 'running' }
}

/** Idempotent: a message that comes twice, late or from a device of another rollout changes nothing. */
export function advance(rollout: Rollout, message: Message): { rollout: Rollout; orders: Order[] } {
  if (message.type === 'emergency-stop') return stop(rollout, `emergency stop by ${message.by}`)
  if (message.type === 'resume' && rollout.state === 'stopped') return resume(rollout)
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

/** As `runtime/shadow/job-file.ts` calls them. */
const ENDS: Readonly<Record<string, DeviceState>> = { SUCCEEDED: 'succeeded', FAILED: 'failed', REJECTED: 'failed', TIMED_OUT: 'failed' }

/** The id of this try's jobs. */
export const jobId = ({ plan, attempt }: Rollout): string => (attempt === 0 ? plan.id : `${plan.id}_${attempt}`)

function note(rollout: Rollout, message: Extract<Message, { type: 'job' }>): Rollout {
  // One that ends late, under the id of a try before, has ended all the same.
  const ours = message.id === rollout.plan.id || (message.id.startsWith(`${rollout.plan.id}_`) && /_\d+$/.test(message.id))
  const now = message.id === jobId(rollout)
  // Called back, as we asked: it comes again with the next try. Called back by somebody else: that device does not have it.
  const end = message.state === 'CANCELED' ? (now ? (rollout.state === 'stopped' ? 'waiting' as const : 'failed' as const) : undefined) : ENDS[message.state]
  if (!ours || end === undefined || rollout.devices[message.device] !== 'sent') return rollout
  return { ...rollout, devices: { ...rollout.devices, [message.device]: end } }
}

function send(rollout: Rollout): { rollout: Rollout; orders: Order[] } {
  const waiting = (rollout.plan.groups[rollout.group] ?? []).filter(device => rollout.devices[device] === 'waiting')
  const devices = { ...rollout.devices, ...Object.fromEntries(waiting.map(d => [d, 'sent' as const])) }
  const next = { ...rollout, devices }
  return { rollout: next, orders: ordersFor(next, waiting) }
}

function ordersFor(rollout: Rollout, devices: readonly string[]): Order[] {
  return devices.map(device => ({ type: 'send', device, id: jobId(rollout), release: rollout.plan.release }))
}

/** Once more to those that have not answered: whoever sent it may have died in between. A device takes an id once. */
export const again = (rollout: Rollout): Order[] => (rollout.state === 'running' ? ordersFor(rollout, Object.keys(rollout.devices).filter(d => rollout.devices[d] === 'sent')) : [])

/** A person has looked: the failed ones of this group are tried again too, else the threshold would stop it at once. */
function resume(rollout: Rollout): { rollout: Rollout; orders: Order[] } {
  const group = rollout.plan.groups[rollout.group] ?? []
  const anew = Object.entries(rollout.devices).map(([d, state]) => [d, state === 'sent' || (state === 'failed' && group.includes(d)) ? 'waiting' as const : state] as const)
  const { reason: _, ...rest } = rollout
  return send({ ...rest, state: 'running', attempt: rollout.attempt + 1, devices: Object.fromEntries(anew) })
}

/** Those that have not begun are called back; those that have end by their own trial, forward or back. */
function stop(rollout: Rollout, reason: string): { rollout: Rollout; orders: Order[] } {
  if (rollout.state === 'stopped') return { rollout, orders: [] }
  const under = Object.keys(rollout.devices).filter(d => rollout.devices[d] === 'sent')
  return { rollout: { ...rollout, state: 'stopped', reason }, orders: under.map(device => ({ type: 'cancel', device, id: jobId(rollout) })) }
}
