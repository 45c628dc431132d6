import { writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import t from 'tap'
import type { JobKind } from '../../runtime/shadow/jobs.js'
import { inWindow } from '../../runtime/shadow/window.js'
import { Broker } from '../rig/broker.js'
import { startDevice } from './fake-device.js'
import { Folder, Listener, eventually, greeted, wait } from './kit.js'

const ROOT = 'parley/v1/lab/r1'
const stateOf = (owner: Listener, id: string): string | undefined => owner.json(`${ROOT}/jobs`).at(-1)?.['jobs'].find((j: { id: string }) => j.id === id)?.state
const ended = (owner: Listener, id: string, state: string): Promise<void> => eventually(`${id} is ${state}`, () => stateOf(owner, id) === state)
const kind = (run: JobKind['run'], more: Partial<JobKind> = {}): JobKind => ({ disturbs: false, interrupted: 'failed', run, ...more })

t.test('a job delivered ten times, and over a restart, is carried out once', { timeout: 180_000 }, async t => {
  await using broker = await Broker.start()
  await using folder = await Folder.make()
  await using owner = await Listener.open(broker.url)
  let runs = 0
  const jobs = { count: kind(async () => { runs++ }) }
  for (let life = 0; life < 2; life++) {
    const { device } = await startDevice(t, broker, folder.path, {}, { jobs })
    await greeted(device.telemetry)
    for (let i = 0; i < 10; i++) await owner.publish(`${ROOT}/job`, { id: 'one', kind: 'count' })
    await ended(owner, 'one', 'SUCCEEDED')
    await wait(300)
    await device.close()
  }
  t.equal(runs, 1)
})

t.test('jobs end as they should, one at a time', { timeout: 180_000 }, async t => {
  await using broker = await Broker.start()
  await using folder = await Folder.make()
  await using owner = await Listener.open(broker.url)
  let running = 0
  let most = 0
  const slow = kind(async () => {
    most = Math.max(most, ++running)
    await wait(100)
    running--
  })
  const hang = kind((_args, signal) => new Promise((_, reject) => signal.addEventListener('abort', () => reject(signal.reason), { once: true })))
  const { device } = await startDevice(t, broker, folder.path, {}, { jobs: { slow, hang, bad: kind(async () => { throw new Error('no disk') }) } })
  t.teardown(() => device.close())
  await owner.until(h => h.topic === `${ROOT}/jobs`, 'the device')
  for (const id of ['a', 'b', 'c']) await owner.publish(`${ROOT}/job`, { id, kind: 'slow' })
  await owner.publish(`${ROOT}/job`, { id: 'd', kind: 'bad' })
  await owner.publish(`${ROOT}/job`, { id: 'e', kind: 'hang', timeoutS: 1 })
  await owner.publish(`${ROOT}/job`, { id: 'f', kind: 'nothing' })
  await owner.publish(`${ROOT}/job`, 'garbage')
  await ended(owner, 'e', 'TIMED_OUT')
  t.same(['a', 'b', 'c', 'd', 'e', 'f'].map(id => stateOf(owner, id)), ['SUCCEEDED', 'SUCCEEDED', 'SUCCEEDED', 'FAILED', 'TIMED_OUT', 'REJECTED'])
  t.equal(most, 1)
  const said = owner.json(`${ROOT}/event`).filter(e => e['event'] === 'job' && e['job'] === 'a').map(e => e['state'])
  t.same(said, ['QUEUED', 'IN_PROGRESS', 'SUCCEEDED'])
})

t.test('a job that is wrong is rejected with what is wrong, and one without a name changes nothing', { timeout: 60_000 }, async t => {
  await using broker = await Broker.start()
  await using folder = await Folder.make()
  await using owner = await Listener.open(broker.url)
  let runs = 0
  const { device } = await startDevice(t, broker, folder.path, {}, { jobs: { count: kind(async () => { runs++ }) } })
  await greeted(device.telemetry)
  await owner.publish(`${ROOT}/job`, { kind: 'count' })
  await owner.publish(`${ROOT}/job`, { id: 'with/slash', kind: 'count' })
  await owner.publish(`${ROOT}/job`, { id: 'late', kind: 'count', timeoutS: 0, loud: true })
  await owner.publish(`${ROOT}/job`, { id: 'long', kind: 'count', args: { text: 'x'.repeat(20_000) } })
  await owner.publish(`${ROOT}/job`, { id: 'never-sent', cancel: true })
  await ended(owner, 'long', 'REJECTED')
  const told = owner.json(`${ROOT}/jobs`).at(-1)!['jobs']
  t.match(told, [{ id: 'late', state: 'REJECTED', reason: /^malformed: timeoutS: .*loud/ }, { id: 'long', state: 'REJECTED', reason: /^too-large: 20\d+ bytes; at most 16384/ }])
  t.equal(told.length, 2)
  t.equal(runs, 0)
  await device.close()
})

t.test('a restart waits until nobody speaks, then succeeds by the restart itself', { timeout: 180_000 }, async t => {
  await using broker = await Broker.start()
  await using folder = await Folder.make()
  await using owner = await Listener.open(broker.url)
  let talking = true
  const { device, api } = await startDevice(t, broker, folder.path, {}, { busy: () => talking })
  await owner.until(h => h.topic === `${ROOT}/jobs`, 'the device')
  await owner.publish(`${ROOT}/job`, { id: 'r', kind: 'restart' })
  await ended(owner, 'r', 'QUEUED')
  await wait(1_500)
  t.same(api.did, [], 'somebody speaks')
  talking = false
  await eventually('it restarts', () => api.did.includes('restart job'))
  await ended(owner, 'r', 'IN_PROGRESS')
  await device.close()
  const next = await startDevice(t, broker, folder.path)
  await ended(owner, 'r', 'SUCCEEDED')
  t.same(next.api.did, [], 'once')
  await next.device.close()
})

t.test('a job in the middle of which the device died has failed, unless it can be done again', async t => {
  await using broker = await Broker.start()
  await using folder = await Folder.make()
  await using owner = await Listener.open(broker.url)
  const was = { args: {}, timeoutS: 60, waitS: 1e5, now: true, state: 'IN_PROGRESS', version: 2, queuedAt: Date.now() }
  await writeFile(join(folder.path, 'jobs.json'), JSON.stringify([{ ...was, id: 'x', kind: 'odd' }, { ...was, id: 'y', kind: 'again' }]))
  let runs = 0
  const { device } = await startDevice(t, broker, folder.path, {}, { jobs: { odd: kind(async () => {}), again: kind(async () => { runs++ }, { interrupted: 'again' }) } })
  await ended(owner, 'y', 'SUCCEEDED')
  t.equal(stateOf(owner, 'x'), 'FAILED')
  t.equal(runs, 1)
  await device.close()
})

t.test('a job that waited over an update, and of a kind that the new release does not have, has failed; the device comes up', { timeout: 60_000 }, async t => {
  await using broker = await Broker.start()
  await using folder = await Folder.make()
  await using owner = await Listener.open(broker.url)
  await writeFile(join(folder.path, 'jobs.json'), JSON.stringify([{ id: 'x', kind: 'gone', args: {}, timeoutS: 60, waitS: 1e5, now: true, state: 'QUEUED', version: 1, queuedAt: Date.now() }]))
  const { device } = await startDevice(t, broker, folder.path)
  await ended(owner, 'x', 'FAILED')
  await device.close()
})

t.test('a maintenance window goes over midnight', t => {
  const at = (h: number): number => new Date(2026, 5, 1, h, 30).getTime()
  t.same([1, 3, 12].map(h => inWindow({ from: '02:00', to: '05:00' }, at(h))), [false, true, false])
  t.same([23, 3, 12].map(h => inWindow({ from: '22:00', to: '05:00' }, at(h))), [true, true, false])
  t.end()
})

t.test('garbage that the broker keeps on every topic that a device listens to changes nothing: it comes up, and says why it refuses', { timeout: 60_000 }, async t => {
  await using broker = await Broker.start()
  await using folder = await Folder.make()
  await using owner = await Listener.open(broker.url)
  let runs = 0
  for (const topic of ['job', 'command/say', 'command/restart', 'desired', 'instance', 'availability']) await owner.publish(`${ROOT}/${topic}`, Buffer.from([0xff, 0x00, 0x7b]), { retain: true })
  await owner.publish(`${ROOT}/command/volume`, { volume: 0.1 }, { retain: true })
  const { device, api, applied } = await startDevice(t, broker, folder.path, { commands: ['say', 'restart', 'volume'] }, { jobs: { count: kind(async () => { runs++ }) } })
  await greeted(device.telemetry)
  t.same([api.did, applied], [[], []])
  await eventually('the desired state is refused', () => owner.json(`${ROOT}/reported`).at(-1)?.['refused'] !== undefined)
  await device.close()
})

t.test('a job that the broker keeps is refused: it would come again with every connection', { timeout: 60_000 }, async t => {
  await using broker = await Broker.start()
  await using folder = await Folder.make()
  await using owner = await Listener.open(broker.url)
  let runs = 0
  await owner.publish(`${ROOT}/job`, { id: 'kept', kind: 'count' }, { retain: true })
  const { device } = await startDevice(t, broker, folder.path, {}, { jobs: { count: kind(async () => { runs++ }) } })
  await ended(owner, 'kept', 'REJECTED')
  t.equal(runs, 0)
  await device.close()
})

t.test('a job taken back at any moment of its beginning does not go on', { timeout: 120_000 }, async t => {
  await using broker = await Broker.start()
  await using folder = await Folder.make()
  await using owner = await Listener.open(broker.url)
  const hang = kind((_args, signal) => new Promise((_, reject) => signal.addEventListener('abort', () => reject(signal.reason as Error), { once: true })))
  const { device } = await startDevice(t, broker, folder.path, {}, { jobs: { hang } })
  await greeted(device.telemetry)
  for (let n = 0; n < 20; n++) {
    await owner.publish(`${ROOT}/job`, { id: `j${n}`, kind: 'hang' })
    await wait(n % 10)
    await owner.publish(`${ROOT}/job`, { id: `j${n}`, cancel: true })
    await ended(owner, `j${n}`, 'CANCELED')
  }
  t.equal(device.telemetry.link.connected, true)
  await device.close()
})
