import { mkdir, rename, rm, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import t from 'tap'
import type { JobKind } from '../../runtime/shadow/jobs.js'
import { Broker } from '../rig/broker.js'
import { startDevice } from './fake-device.js'
import { Folder, Listener, eventually, greeted, turn } from './kit.js'

const ROOT = 'parley/v1/lab/r1'
const kind = (run: JobKind['run']): JobKind => ({ disturbs: false, interrupted: 'failed', run })
const stateOf = (owner: Listener, id: string): { state: string; reason?: string } | undefined => owner.json(`${ROOT}/jobs`).at(-1)?.['jobs'].find((j: { id: string }) => j.id === id)

// A folder whose parent is a file refuses every write, also of root.
async function unusable(folder: Folder): Promise<string> {
  await writeFile(join(folder.path, 'file'), '')
  return join(folder.path, 'file', 'telemetry')
}

t.test('a device whose disk takes nothing comes up, tells of itself, answers commands, and refuses a job with the reason', { timeout: 60_000 }, async t => {
  await using broker = await Broker.start()
  await using folder = await Folder.make()
  await using owner = await Listener.open(broker.url)
  let runs = 0
  const { device, tell, applied } = await startDevice(t, broker, await unusable(folder), {}, { jobs: { count: kind(async () => { runs++ }) } })
  await greeted(device.telemetry)
  tell(turn(1))
  await owner.until(h => h.topic === `${ROOT}/turn`, 'the turn')
  await owner.publish(`${ROOT}/job`, { id: 'one', kind: 'count' })
  await eventually('the job is refused', () => stateOf(owner, 'one')?.state === 'REJECTED')
  t.match(stateOf(owner, 'one')?.reason, /^store-failed: .*write it down/)
  t.equal(runs, 0, 'what could be lost is not begun')
  await owner.publish(`${ROOT}/desired`, { version: 1, state: { facts: { muffin: '2' } } }, { retain: true })
  await eventually('the desired state is refused', () => owner.json(`${ROOT}/reported`).at(-1)?.['refused']?.version === 1)
  t.same(applied, [], 'and nothing is changed')
  await device.close()
})

t.test('the disk becomes full while a job runs: it ends, and its end is written down once there is room', { timeout: 60_000 }, async t => {
  await using broker = await Broker.start()
  await using folder = await Folder.make()
  await using owner = await Listener.open(broker.url)
  const path = join(folder.path, 'telemetry')
  let end: (() => void) | undefined
  const { device } = await startDevice(t, broker, path, {}, { jobs: { long: kind(() => new Promise(resolve => { end = resolve })) } })
  await greeted(device.telemetry)
  await owner.publish(`${ROOT}/job`, { id: 'one', kind: 'long' })
  await eventually('it runs', () => end !== undefined && stateOf(owner, 'one')?.state === 'IN_PROGRESS')
  await rename(path, `${path}-away`)
  await writeFile(path, '') // no folder any more: each write is refused
  end?.()
  await new Promise(resolve => setTimeout(resolve, 2_500))
  t.equal(stateOf(owner, 'one')?.state, 'IN_PROGRESS', 'what is not on disk is not told')
  await rm(path)
  await mkdir(path)
  await eventually('it is told', () => stateOf(owner, 'one')?.state === 'SUCCEEDED')
  await device.close()
})
