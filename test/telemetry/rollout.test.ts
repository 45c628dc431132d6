import { writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import t from 'tap'
import { ParleyError } from '../../base/errors.js'
import { fleetMain } from '../../runtime/fleet/main.js'
import type { FleetDevice } from '../../runtime/fleet/device.js'
import { Broker } from '../rig/broker.js'
import { startDevice, type TestConfig } from './fake-device.js'
import { Folder, eventually, greeted } from './kit.js'

const RELEASE = 'a'.repeat(64)

interface Site extends AsyncDisposable {
  readonly url: string
  /** What each device was asked to install, in order. */
  readonly installed: string[]
  readonly plan: string
  fleet(argv: readonly string[], signal?: AbortSignal): Promise<{ code: number; out: string; err: string }>
}

/** A broker, devices, and a plan; `install` says what an update does on a device. */
async function site(devices: readonly string[], plan: object, install: (device: string, signal: AbortSignal) => Promise<void>): Promise<Site> {
  const broker = await Broker.start()
  const folder = await Folder.make()
  const installed: string[] = []
  const running: FleetDevice<TestConfig>[] = []
  for (const device of devices) {
    const own = await Folder.make()
    const run = async (args: object, signal: AbortSignal): Promise<void> => {
      installed.push(device)
      if ((args as { release?: string }).release !== RELEASE) throw new Error('another release')
      await install(device, signal)
    }
    const { device: fake } = await startDevice(t, broker, own.path, { device }, { jobs: { update: { disturbs: false, interrupted: 'again', run } } })
    running.push(fake)
    await greeted(fake.telemetry) // what is sent to one that has not subscribed yet is lost
  }
  const file = join(folder.path, 'plan.json')
  await writeFile(file, JSON.stringify({ id: 'spring', release: RELEASE, ...plan }))
  const fleet = async (argv: readonly string[], signal = new AbortController().signal) => {
    const [out, err]: [string[], string[]] = [[], []]
    const code = await fleetMain(argv, { out: l => out.push(l), err: l => err.push(l), env: { PARLEY_BROKER: broker.url, USER: 'kim' }, signal })
    return { code, out: out.join('\n'), err: err.join('\n') }
  }
  const close = async (): Promise<void> => {
    await Promise.all(running.map(d => d.close()))
    await broker[Symbol.asyncDispose]()
    await folder[Symbol.asyncDispose]()
  }
  return { url: broker.url, installed, plan: file, fleet, [Symbol.asyncDispose]: close }
}

const untilStopped = (signal: AbortSignal): Promise<never> => new Promise((_, reject) => signal.addEventListener('abort', () => reject(signal.reason), { once: true }))

t.test('a release reaches the second group only after the first, and the rollout ends by itself', { timeout: 60_000 }, async t => {
  await using at = await site(['a', 'b', 'c'], { groups: [['lab/a'], ['lab/b', 'lab/c']] }, async () => {})
  const { code, out } = await at.fleet(['rollout', 'run', at.plan])
  t.equal(code, 0, out)
  t.equal(at.installed[0], 'a')
  t.same([...at.installed].sort(), ['a', 'b', 'c'])
  t.match(await at.fleet(['rollout', 'status', 'spring']), { code: 0, out: /spring done, group 2 of 2: 3 done, 0 failed/ })
  t.equal((await at.fleet(['rollout', 'run', at.plan])).code, 0, 'started again it is done')
  t.equal(at.installed.length, 3, 'and sends nothing')
})

t.test('above the error threshold it stops by itself, calls back what has not ended, and never begins the next group', { timeout: 60_000 }, async t => {
  await using at = await site(['a', 'b', 'c'], { groups: [['lab/a', 'lab/b'], ['lab/c']], errorPercent: 20 }, async (device, signal) => {
    if (device !== 'a') return untilStopped(signal)
    await eventually('b has begun', () => at.installed.includes('b')) // called back before that, it never would
    throw new ParleyError('update-failed', 'the golden utterance was not answered')
  })
  const { code, out, err } = await at.fleet(['rollout', 'run', at.plan])
  t.equal(code, 1)
  t.match(out, /50 % of group 1 failed/)
  t.match(err, /rollout resume spring/)
  await eventually('b was called back', async () => /CANCELED/.test((await at.fleet(['job', 'status', 'lab/b'])).out))
  t.same([...at.installed].sort(), ['a', 'b'])
})

t.test('an emergency stop from another place stops it, and a person can go on', { timeout: 60_000 }, async t => {
  let hold = true
  await using at = await site(['a', 'b'], { groups: [['lab/a'], ['lab/b']] }, async (_, signal) => { if (hold) await untilStopped(signal) })
  const running = at.fleet(['rollout', 'run', at.plan])
  await eventually('a has begun', () => at.installed.includes('a'))
  t.match(await at.fleet(['rollout', 'stop', 'spring']), { code: 0, out: /stopped.*emergency stop by kim/ })
  t.match(await running, { code: 1, out: /emergency stop by kim/ })
  t.equal((await at.fleet(['rollout', 'run', at.plan])).code, 1, 'started again it stays stopped')
  await eventually('a was called back', async () => /CANCELED/.test((await at.fleet(['job', 'status', 'lab/a'])).out))
  hold = false
  t.equal((await at.fleet(['rollout', 'resume', 'spring'])).code, 0)
  t.same(at.installed, ['a', 'a', 'b'])
})

t.test('the one who sends may be ended: the next one goes on from the broker', { timeout: 60_000 }, async t => {
  let hold = true
  await using at = await site(['a', 'b'], { groups: [['lab/a'], ['lab/b']] }, async () => { while (hold) await new Promise(resolve => setTimeout(resolve, 20)) })
  const ended = new AbortController()
  const running = at.fleet(['rollout', 'run', at.plan], ended.signal)
  await eventually('a has begun', () => at.installed.includes('a'))
  ended.abort()
  t.equal((await running).code, 1)
  hold = false
  t.equal((await at.fleet(['rollout', 'run', at.plan])).code, 0)
  t.same(at.installed, ['a', 'b'], 'each once')
})

t.test('a plan that cannot be understood says which key', { timeout: 60_000 }, async t => {
  await using at = await site([], { groups: [['kiosk-1']], errorPercent: 300 }, async () => {})
  t.match(await at.fleet(['rollout', 'run', at.plan]), { code: 2, err: /errorPercent[\s\S]*groups/ })
  t.match(await at.fleet(['rollout', 'status', 'winter']), { code: 2, err: /no rollout winter/ })
})
