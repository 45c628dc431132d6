import { readFile } from 'node:fs/promises'
import { z } from 'zod'
import { ParleyError, describe, systemCode } from '../../base/errors.js'
import { advance, again, begin, planSchema, summary, type Message, type Order, type Rollout } from '../../deploy/fleet/rollout.js'
import { PREFIX, parseTopic, topicsOf } from '../telemetry/topics.js'
import { object } from './list.js'
import type { FleetIo } from './options.js'
import type { Owner } from './owner.js'

/** A device that was off when its job was sent gets it again; one that has it already only says so, ms. */
const AGAIN_MS = 600_000
/** A day: a device waits for its quiet minutes and its window, s. */
const JOB_S = 86_400

/** How it stands is kept at the broker, so that another machine can go on, and anybody stop it. */
const topicOf = (id: string): string => `parley/rollout/${id}`
const stopOf = (id: string): string => `${topicOf(id)}/stop`

const saved = z.object({
  plan: planSchema, group: z.number(), attempt: z.number(), devices: z.record(z.string(), z.enum(['waiting', 'sent', 'succeeded', 'failed'])),
  state: z.enum(['running', 'done', 'stopped']), reason: z.string().optional(),
})

/** Until it is done (0), stopped (1) or the person ends this process; started again it goes on. */
export async function runRollout(owner: Owner, file: string, io: FleetIo): Promise<number> {
  const read = planSchema.safeParse(await readFile(file, 'utf8').then(JSON.parse).catch((cause: unknown) => { throw new ParleyError('usage', `${file} cannot be read`, { cause }) }))
  if (!read.success) throw new ParleyError('usage', `${file}: ${z.prettifyError(read.error)}`)
  const plan = read.data
  const old = await load(owner, plan.id)
  if (old && JSON.stringify(old.plan) !== JSON.stringify(plan)) throw new ParleyError('usage', `there is another rollout ${plan.id}`, { hint: 'Give the plan another id' })
  return run(owner, old ?? begin(plan), [{ type: 'start' }], io)
}

export async function resumeRollout(owner: Owner, id: string, io: FleetIo): Promise<number> {
  const rollout = await need(owner, id)
  await owner.publish(stopOf(id), {}, true) // else the old stop would stop it again
  return run(owner, rollout, [{ type: 'resume' }], io)
}

/** Does itself what the running process will do as well: that one may be dead. */
export async function stopRollout(owner: Owner, id: string, io: FleetIo): Promise<number> {
  const by = io.env['USER'] ?? 'an operator'
  await owner.publish(stopOf(id), { by }, true)
  const next = advance(await need(owner, id), { type: 'emergency-stop', by })
  await put(owner, next.rollout, next.orders)
  io.out(summary(next.rollout))
  return 0
}

export async function rolloutStatus(owner: Owner, id: string, json: boolean, io: FleetIo): Promise<number> {
  const rollout = await need(owner, id)
  io.out(json ? JSON.stringify(rollout) : summary(rollout))
  if (!json) for (const [device, state] of Object.entries(rollout.devices)) if (state !== 'waiting') io.out(`  ${device.padEnd(32)} ${state}`)
  return rollout.state === 'stopped' ? 1 : 0
}

async function run(owner: Owner, first: Rollout, messages: readonly Message[], io: FleetIo): Promise<number> {
  let rollout = first
  const over = new AbortController()
  let failure: unknown
  // One after the other: each state is at the broker before what it announces is sent.
  let chain: Promise<void> = Promise.resolve()
  const later = (work: () => Promise<void>): void => void (chain = chain.then(work).catch((error: unknown) => { failure ??= error; over.abort() }))
  const take = (message: Message): void => later(async () => {
    const next = advance(rollout, message)
    if (next.rollout === rollout && next.orders.length === 0) return
    rollout = next.rollout
    await put(owner, rollout, next.orders)
    io.out(summary(rollout))
    if (rollout.state !== 'running') over.abort()
  })
  const repeat = (): void => later(() => send(owner, again(rollout)))
  repeat()
  for (const message of messages) take(message)
  await chain
  const timer = setInterval(repeat, AGAIN_MS)
  if (rollout.state === 'running') {
    const stop = stopOf(rollout.plan.id)
    await owner.watch([`${PREFIX}/+/+/jobs`, stop], (topic, payload) => {
      const { by } = topic === stop ? object(payload) : {}
      if (topic === stop) return by === undefined ? undefined : take({ type: 'emergency-stop', by: String(by) })
      for (const message of jobsIn(topic, payload)) take(message)
    }, AbortSignal.any([over.signal, io.signal])).catch((error: unknown) => { failure ??= error })
  }
  clearInterval(timer)
  await chain
  if (failure !== undefined && systemCode(failure) !== 'offline') throw failure
  if (rollout.state === 'running') io.err(`it goes on at the devices; to go on here: the same command again (${io.signal.aborted ? 'you ended this' : 'the broker went away'})`)
  if (rollout.state === 'stopped') io.err(`stopped. When the cause is mended: parley fleet rollout resume ${rollout.plan.id}`)
  return rollout.state === 'done' ? 0 : 1
}

function* jobsIn(topic: string, payload: Buffer): Generator<Message> {
  const at = parseTopic(topic)
  const { jobs } = object(payload) as { jobs?: unknown }
  if (!at || !Array.isArray(jobs)) return
  for (const { id, state } of jobs as { id?: unknown; state?: unknown }[]) yield { type: 'job', id: String(id), device: `${at.site}/${at.device}`, state: String(state) }
}

async function put(owner: Owner, rollout: Rollout, orders: readonly Order[]): Promise<void> {
  await owner.publish(topicOf(rollout.plan.id), rollout, true)
  await send(owner, orders)
}

async function send(owner: Owner, orders: readonly Order[]): Promise<void> {
  for (const order of orders) {
    const [site = '', device = ''] = order.device.split('/')
    const job = order.type === 'cancel' ? { id: order.id, cancel: true } : { id: order.id, kind: 'update', args: { release: order.release }, timeoutS: JOB_S, waitS: JOB_S, now: true }
    await owner.publish(topicsOf(site, device).job, job, false)
  }
}

async function load(owner: Owner, id: string): Promise<Rollout | undefined> {
  const found = (await owner.retained([topicOf(id)])).get(topicOf(id))
  if (!found || found.length === 0) return undefined
  try {
    const { reason, ...rest } = saved.parse(JSON.parse(found.toString('utf8')))
    return reason === undefined ? rest : { ...rest, reason }
  } catch (error) {
    throw new ParleyError('rollout-damaged', `what the broker has of rollout ${id} cannot be read: ${describe(error)}`)
  }
}

async function need(owner: Owner, id: string): Promise<Rollout> {
  const rollout = await load(owner, id)
  if (!rollout) throw new ParleyError('usage', `the broker knows no rollout ${id}`)
  return rollout
}
