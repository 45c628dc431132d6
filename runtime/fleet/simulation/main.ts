import { cpus, totalmem } from 'node:os'
import { pathToFileURL } from 'node:url'
import { parseArgs } from 'node:util'
import { ParleyError, describe } from '../../../base/errors.js'
import { table } from '../table.js'
import { findLimit, type Bounds, type Step } from './limit.js'
import { simulate, type Figures, type Simulation } from './simulate.js'

const HELP = `npm run bench:fleet -- [options]

N simulated devices, each with the real telemetry and files of its own and no sound, and one Mosquitto, on this machine.
First all connect, then they talk for a while, then the broker is killed and started again.

  --devices N     default 100; with --find the number to begin with
  --seconds S     the steady part, default 40; under 30 no connection counts as a good one, and the way back is another
  --turn S        between two turns of a device, default 5
  --state S       between two states, a whole number, default 10
  --away S        how long the broker is away, default 5
  --json          figures for programs, on the standard output

  --find          raises the number until this machine does not bear it, and tells the limit. Minutes a step.
  --grow X        by this factor, default 1.5
  --most N        no further than this, default 20000
  Not borne: --back S, all are not back S s after the broker (default 120, also for the first connection); --latency MS,
  fewer than 95 % of the turns arrive within MS ms (default 1000); --memory MB, devices and broker together need more
  (default: four fifths of this machine's); more than 0.1 % of the turns do not arrive; or the system lets a process
  open too few files (three a device, ulimit -n).

Exit codes: 0 measured, 1 it could not be measured, 2 a wrong command line, 130 stopped.`

const DEFAULTS = { devices: '100', seconds: '40', turn: '5', state: '10', away: '5', grow: '1.5', most: '20000', back: '120', latency: '1000' } as const
type Name = keyof typeof DEFAULTS | 'memory'

export interface BenchIo {
  readonly out: (line: string) => void
  readonly err: (line: string) => void
  readonly signal: AbortSignal
}

/** Returns the exit code. */
export async function benchFleet(argv: readonly string[], io: BenchIo): Promise<number> {
  try {
    const options = parseOptions(argv)
    if (!options) io.out(HELP)
    else if (options.find) await find(options, io)
    else await once(options, io)
    return 0
  } catch (error) {
    if (io.signal.aborted) return 130
    io.err(describe(error))
    return error instanceof ParleyError && error.code === 'usage' ? 2 : 1
  }
}

interface Options {
  readonly plan: Simulation
  readonly bounds: Bounds
  readonly json: boolean
  readonly find: boolean
  readonly grow: number
  readonly most: number
}

/** Undefined: help is wanted. Throws `usage`. */
function parseOptions(argv: readonly string[]): Options | undefined {
  const given = read(argv)
  if (given['help'] === true) return undefined
  const number = (name: Name, least: number, most: number, whole = false): number => {
    const value = Number(given[name])
    if (given[name] !== '' && value >= least && value <= most && (!whole || Number.isInteger(value))) return value
    throw new ParleyError('usage', `--${name} takes a ${whole ? 'whole ' : ''}number from ${least} to ${most}, not ${JSON.stringify(given[name])}`, { hint: 'See --help' })
  }
  const limitS = number('back', 1, 3_600)
  const devices = number('devices', 1, 100_000, true)
  const find = given['find'] === true
  const most = number('most', 1, 100_000, true)
  if (find && most < devices) throw new ParleyError('usage', `--most ${most} is less than --devices ${devices}, with which --find begins`)
  return {
    plan: { devices, seconds: number('seconds', 1, 3_600), turnS: number('turn', 0.1, 3_600), stateS: number('state', 1, 3_600, true), awayS: number('away', 0, 3_600), limitS },
    bounds: { backS: limitS, latencyMs: number('latency', 1, 600_000), memoryMb: number('memory', 1, 10_000_000) },
    json: given['json'] === true, find, grow: number('grow', 1.05, 10), most,
  }
}

function read(argv: readonly string[]): Readonly<Record<string, string | boolean | undefined>> {
  const strings = Object.fromEntries(Object.entries({ ...DEFAULTS, memory: String(Math.floor(machineMb() * 0.8)) }).map(([name, value]) => [name, { type: 'string' as const, default: value }]))
  const flag = { type: 'boolean' as const }
  try {
    return parseArgs({ args: [...argv], options: { ...strings, json: flag, find: flag, help: { ...flag, short: 'h' } } }).values
  } catch (cause) {
    throw new ParleyError('usage', cause instanceof Error ? cause.message : String(cause), { hint: 'See --help', cause })
  }
}

/** Of the machine, or of the container that we are in. */
function machineMb(): number {
  const limit = process.constrainedMemory()
  return Math.min(totalmem(), limit && limit > 0 ? limit : Infinity) / 2 ** 20
}

async function once({ plan, json }: Options, io: BenchIo): Promise<void> {
  const figures = await simulate(plan, io.err, io.signal)
  if (json) io.out(JSON.stringify({ machine: machine(), plan, ...figures }, rounded, 2))
  else for (const line of stepTable([{ devices: plan.devices, figures }])) io.out(line)
}

async function find({ plan, bounds, json, grow, most }: Options, io: BenchIo): Promise<void> {
  const run = (devices: number): Promise<Figures> => simulate({ ...plan, devices }, line => io.err(`  ${line}`), io.signal)
  const onStep = ({ devices, why }: Step): void => io.err(`${devices} devices: ${why === undefined ? 'borne' : `not borne, ${why}`}`)
  const limit = await findLimit(plan.devices, grow, most, bounds, run, onStep, io.signal)
  if (json) return io.out(JSON.stringify({ machine: machine(), plan, bounds, ...limit }, rounded, 2))
  for (const line of stepTable(limit.steps)) io.out(line)
  io.out(`This machine bears ${limit.bears} devices${limit.fails === undefined ? `, and was asked for no more than ${most}` : `, and not ${limit.fails}`}.`)
}

const machine = (): string => `${cpus().length} × ${cpus()[0]?.model.trim() ?? 'unknown'}, ${Math.round(machineMb())} MB, Node ${process.versions.node}`
const rounded = (_key: string, value: unknown): unknown => (typeof value === 'number' ? Math.round(value * 100) / 100 : value)

/** A row for each number of devices. */
function stepTable(steps: readonly Step[]): string[] {
  const s = (ms: number): string => (ms / 1_000).toFixed(1)
  const rows = steps.map(({ devices, figures: f, why }) => [
    String(devices), ...(f ? [
      s(f.connectMs), String(Math.round(f.messagesPerS)), String(Math.round(f.bytesPerS / 1_000)), `${f.latency.p50Ms} / ${f.latency.p95Ms} / ${f.latency.lastMs}`, String(Math.round(f.loopDelayP95Ms)),
      `${Math.round(f.cpuPercent.devices)} + ${Math.round(f.cpuPercent.broker)}`, `${Math.round(f.memoryMb.devices)} + ${Math.round(f.memoryMb.broker)}`, `${s(f.storm.p50Ms)} / ${s(f.storm.p95Ms)} / ${s(f.storm.lastMs)}`,
      String(f.storm.mostInOneSecond), `${f.arrived} of ${f.told}`,
    ] : Array<string>(10).fill('–')), why ?? '',
  ])
  return [
    ...table(['DEVICES', 'CONNECTED s', 'MSG/s', 'kB/s', 'TURN ms', 'LOOP ms', 'CPU %', 'MEMORY MB', 'BACK s', 'MOST/s', 'TURNS', 'NOT BORNE'], rows),
    'TURN, BACK: median / 95 % / last. LOOP: how late timers are, 95 %. CPU (of one core), MEMORY: devices + broker.',
  ]
}

if (process.argv[1] && import.meta.url === pathToFileURL(process.argv[1]).href) {
  const stop = new AbortController()
  for (const name of ['SIGINT', 'SIGTERM'] as const) process.once(name, () => stop.abort(new ParleyError('interrupted', `stopped by ${name}`)))
  process.exitCode = await benchFleet(process.argv.slice(2), { out: line => void process.stdout.write(`${line}\n`), err: line => void process.stderr.write(`${line}\n`), signal: stop.signal })
}
