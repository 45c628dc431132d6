import { execFile } from 'node:child_process'
import { tmpdir } from 'node:os'
import { fileURLToPath } from 'node:url'
import { promisify } from 'node:util'
import t from 'tap'
import { findLimit, whyNotBorne, type Bounds, type Step } from '../../runtime/fleet/simulation/limit.js'
import { benchFleet } from '../../runtime/fleet/simulation/main.js'
import { densest, type Figures } from '../../runtime/fleet/simulation/simulate.js'
import { Registry } from '../../runtime/telemetry/registry.js'
import { readSystem } from '../../runtime/telemetry/system.js'

const BOUNDS: Bounds = { backS: 120, latencyMs: 1_000, memoryMb: 1_000 }
const never = new AbortController().signal

/** Of a machine that is well. */
function figures(devices: number, more: Partial<Figures> = {}): Figures {
  const soon = { p50Ms: 10, p95Ms: 20, lastMs: 30 }
  return {
    devices, connectMs: 5, messagesPerS: 1, bytesPerS: 1, latency: soon, loopDelayP95Ms: 1, memoryKbPerDevice: 1, memoryMb: { devices: 100, broker: 10 },
    cpuPercent: { devices: 1, broker: 1 }, cpuMsPerDeviceS: 1, storm: { ...soon, mostInOneSecond: 1 }, told: 100_000, arrived: 100_000, ...more,
  }
}

/** A machine that bears so many, and is slow with more. */
const machine = (bears: number) => async (devices: number): Promise<Figures> => figures(devices, devices > bears ? { latency: { p50Ms: 900, p95Ms: 5_000, lastMs: 9_000 } } : {})

async function bench(...argv: string[]): Promise<{ code: number; out: string; err: string }> {
  const [out, err]: [string[], string[]] = [[], []]
  const code = await benchFleet(argv, { out: l => out.push(l), err: l => err.push(l), signal: never })
  return { code, out: out.join('\n'), err: err.join('\n') }
}

t.test('the number is raised until the machine does not bear it, and the limit is closed in on from both sides', async t => {
  const limit = await findLimit(100, 2, 10_000, BOUNDS, machine(700), () => {}, never)
  t.same(limit.steps.map(s => s.devices), [100, 200, 400, 800, 600, 700])
  t.match(limit, { bears: 700, fails: 800 })
})

t.test('a machine that does not bear the first number is asked for fewer', async t => {
  t.match(await findLimit(100, 2, 10_000, BOUNDS, machine(60), () => {}, never), { bears: 50, fails: 75 })
})

t.test('a machine that bears all that may be asked for has no limit that was found', async t => {
  const limit = await findLimit(100, 2, 300, BOUNDS, machine(1_000), () => {}, never)
  t.same(limit.steps.map(s => s.devices), [100, 200, 300])
  t.same([limit.bears, limit.fails], [300, undefined])
})

t.test('a number with which the simulation cannot go on is not borne, and says why', async t => {
  const steps: Step[] = []
  await findLimit(1, 2, 2, BOUNDS, async devices => { if (devices > 1) throw new Error('waited 120 s for all devices to connect'); return figures(1) }, s => steps.push(s), never)
  t.match(steps.at(-1), { devices: 2, why: /waited 120 s/ })
})

t.test('someone who stops the search ends it: that is no limit', async t => {
  const stop = new AbortController()
  const run = async (): Promise<Figures> => { stop.abort(new Error('stopped')); throw new Error('the wait was broken off') }
  await t.rejects(findLimit(1, 2, 4, BOUNDS, run, () => {}, stop.signal), /stopped/)
})

t.test('each bound that is broken is named with its figure', t => {
  const soon = { p50Ms: 1, p95Ms: 2, lastMs: 3 }
  t.equal(whyNotBorne(figures(1), BOUNDS), undefined)
  t.match(whyNotBorne(figures(1, { storm: { ...soon, lastMs: 130_000, mostInOneSecond: 1 } }), BOUNDS), /back after 130 s/)
  t.match(whyNotBorne(figures(1, { latency: { ...soon, p95Ms: 1_001 } }), BOUNDS), /1001 ms, not 1000/)
  t.match(whyNotBorne(figures(1, { memoryMb: { devices: 900, broker: 101 } }), BOUNDS), /1001 MB/)
  t.match(whyNotBorne(figures(1, { arrived: 99_000 }), BOUNDS), /1000 of 100000 turns/)
  t.equal(whyNotBorne(figures(1, { arrived: 99_950 }), BOUNDS), undefined, 'what the broker had when it was killed')
  t.end()
})

t.test('the most in one second is found wherever that second begins', t => {
  t.equal(densest([0, 900, 1_800, 1_850, 2_700, 2_799]), 4)
  t.equal(densest([]), 0)
  t.end()
})

t.test('a command line that it does not understand is refused with the option and what it takes', async t => {
  for (const [argv, why] of [[['--devices', 'x'], /--devices takes a whole number/], [['--state', '1.5'], /--state takes a whole number/], [['--turn='], /--turn takes a number/], [['--loud'], /--loud/], [['extra'], /extra/], [['--find', '--devices', '9', '--most', '5'], /--most 5 is less/]] as const) {
    t.match(await bench(...argv), { code: 2, out: '', err: why })
  }
  t.match(await bench('--help'), { code: 0, out: /--find/ })
})

t.test('more devices than the system lets a process have files for are refused before one is started', async t => {
  const main = fileURLToPath(new URL('../../runtime/fleet/simulation/main.js', import.meta.url))
  const error = await promisify(execFile)('sh', ['-c', 'ulimit -n 256; exec "$0" "$1" --devices 100', process.execPath, main], { timeout: 60_000 }).catch(e => e as { code: number; stderr: string })
  t.match(error, { code: 1, stderr: '100 devices need 350 open files, and this process may have 256. ulimit -n 350' })
})

t.test('where the memory cannot be read just now, the last that was read is told, with the rest', async t => {
  const registry = new Registry()
  registry.set('memory', 1)
  await readSystem(registry, tmpdir(), () => { throw new Error('EMFILE: too many open files') })
  t.match(registry.snapshot(), { memory: 1, uptime: Number })
})

t.test('a few real devices and a real broker: figures as a table, and the search for the limit as JSON', { timeout: 240_000 }, async t => {
  const short = ['--seconds', '1', '--turn', '0.5', '--away', '0']
  t.match(await bench('--devices', '2', ...short), { code: 0, out: /^DEVICES .*\n2 +\d/ })
  const { code, out } = await bench('--find', '--devices', '2', '--most', '3', ...short, '--latency', '60000', '--json')
  t.equal(code, 0)
  t.match(JSON.parse(out), { bears: 3, steps: [{ devices: 2, figures: { latency: { p95Ms: Number } } }, { devices: 3 }] })
})
