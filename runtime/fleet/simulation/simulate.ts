import { readFileSync } from 'node:fs'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { monitorEventLoopDelay } from 'node:perf_hooks'
import { pino } from 'pino'
import { systemClock } from '../../../base/clock.js'
import { ParleyError } from '../../../base/errors.js'
import { usageOf } from '../../health/processes.js'
import { telemetrySettings } from '../../telemetry/settings.js'
import { Telling } from '../../telemetry/source.js'
import { Telemetry } from '../../telemetry/telemetry.js'
import { Counter } from './counter.js'
import { Mosquitto } from './mosquitto.js'

export interface Simulation {
  readonly devices: number
  /** How long the steady part lasts, s. */
  readonly seconds: number
  /** Between two turns of a device, s. */
  readonly turnS: number
  readonly stateS: number
  /** How long the broker is away, s. */
  readonly awayS: number
  /** How long all may take to connect, and to come back, s. */
  readonly limitS: number
}

export interface Figures {
  readonly devices: number
  /** Until all were connected the first time, ms. */
  readonly connectMs: number
  readonly messagesPerS: number
  readonly bytesPerS: number
  /** From the moment a turn ended to its arrival at a subscriber, in the steady part, ms. */
  readonly latency: Spread
  /** How late this process's timers are in the steady part, 95 %, ms. */
  readonly loopDelayP95Ms: number
  /** Resident memory that one more device costs this process, kB. */
  readonly memoryKbPerDevice: number
  /** Resident memory of the devices' process and of the broker, MB. */
  readonly memoryMb: { readonly devices: number; readonly broker: number }
  /** Of one core, %. */
  readonly cpuPercent: { readonly devices: number; readonly broker: number }
  /** CPU of this process a device, ms a second. */
  readonly cpuMsPerDeviceS: number
  /** After the broker came back: when the devices did, and the most in one second. */
  readonly storm: Spread & { readonly mostInOneSecond: number }
  /** Turns told and turns that arrived, live or late. */
  readonly told: number
  readonly arrived: number
}

export interface Spread {
  readonly p50Ms: number
  readonly p95Ms: number
  readonly lastMs: number
}

/** Records that wait are sent for so long at most, ms; what has not come by then is told as missing. */
const DRAIN_MS = 60_000
/** How often the lateness of timers is looked at; Node's figure has it in it, ms. */
const LOOP_MS = 10
/** Of one device: its connection, and from the first outage on the files of its two queues. */
const FILES_PER_DEVICE = 3
/** Of Node itself, the broker's pipes and the counter. */
const OTHER_FILES = 50
/** Devices that open their files at the same time. */
const AT_ONCE = 20

/** N devices, the real telemetry and no sound, against a real Mosquitto on this machine. Throws `open-files` when the system lets it have too few, `timeout` when not all connect in time. */
export async function simulate(plan: Simulation, say: (line: string) => void, signal: AbortSignal): Promise<Figures> {
  const files = plan.devices * FILES_PER_DEVICE + OTHER_FILES
  const most = mostOpenFiles()
  if (files > most) throw new ParleyError('open-files', `${plan.devices} devices need ${files} open files, and this process may have ${most}`, { hint: `ulimit -n ${files}` })
  const folder = await mkdtemp(join(tmpdir(), 'parley-fleet-'))
  const broker = new Mosquitto(folder)
  const fleet: Device[] = []
  const timers: NodeJS.Timeout[] = []
  let counter: Counter | undefined
  const pause = (ms: number): Promise<void> => systemClock.sleep(ms, signal)
  try {
    await broker.start(signal)
    const heard = counter = new Counter(broker.url)
    const memoryBefore = process.memoryUsage.rss()
    const connects: number[] = []
    const begun = performance.now()
    while (fleet.length < plan.devices) {
      const numbers = Array.from({ length: Math.min(AT_ONCE, plan.devices - fleet.length) }, (_, i) => fleet.length + i)
      fleet.push(...(await Promise.all(numbers.map(n => startOne(n, folder, broker.url, plan, () => connects.push(performance.now()))))))
      signal.throwIfAborted()
    }
    await until(() => connects.length >= plan.devices, plan.limitS * 1_000, 'all devices to connect', signal)
    const connectMs = Math.max(...connects) - begun
    say(`${plan.devices} devices are connected`)

    let told = 0
    for (const [n, { source }] of fleet.entries()) {
      let turn = 0
      const tell = (): void => { source.tell(exampleTurn(++turn)); told++ }
      const every = plan.turnS * 1_000
      timers.push(setTimeout(() => { tell(); timers.push(setInterval(tell, every)) }, (n / plan.devices) * every))
    }
    await pause(2_000)
    const steady = await measure(heard, broker, () => pause(plan.seconds * 1_000))
    const memoryKbPerDevice = (process.memoryUsage.rss() - memoryBefore) / plan.devices / 1_024
    say(`${Math.round(steady.messagesPerS)} messages/s`)

    await broker.kill()
    await pause(plan.awayS * 1_000)
    connects.length = 0
    await broker.start(signal)
    const back = performance.now()
    await until(() => connects.length >= plan.devices, plan.limitS * 1_000, 'all devices to come back', signal)
    const after = connects.map(at => at - back)
    for (const timer of timers) clearTimeout(timer)
    await until(() => heard.turns.size >= told, DRAIN_MS, 'all turns to arrive', signal).catch(() => signal.throwIfAborted()) // the figures say so
    return {
      devices: plan.devices, connectMs, ...steady, memoryKbPerDevice, cpuMsPerDeviceS: steady.cpuPercent.devices * 10 / plan.devices,
      storm: { ...spread(after), mostInOneSecond: densest(after) }, told, arrived: heard.turns.size,
    }
  } finally {
    for (const timer of timers) clearTimeout(timer)
    counter?.close()
    await Promise.all(fleet.map(d => d.telemetry.close()))
    await broker.kill()
    await rm(folder, { recursive: true, force: true })
  }
}

/** Source: proc(5). Infinity where the system does not say. */
function mostOpenFiles(): number {
  try {
    return Number(/^Max open files +(\d+)/m.exec(readFileSync('/proc/self/limits', 'utf8'))?.[1] ?? Infinity)
  } catch {
    return Infinity
  }
}

interface Device {
  readonly telemetry: Telemetry
  readonly source: Telling
}

async function startOne(n: number, folder: string, url: string, plan: Simulation, connected: () => void): Promise<Device> {
  const device = `sim${n}`
  const settings = telemetrySettings.parse({ site: 'bench', device, broker: { url }, folder: join(folder, device), stateS: plan.stateS })
  const source = new Telling()
  // Of all processes only one is looked at: a scan of the machine for each device would measure the scans.
  const telemetry = new Telemetry({ settings, source, clock: systemClock, log: pino({ level: 'silent' }), version: 'bench', memory: () => process.memoryUsage.rss() })
  telemetry.link.onNews(news => { if (news.what === 'connected') connected() })
  await telemetry.start()
  return { telemetry, source }
}

type Steady = Pick<Figures, 'messagesPerS' | 'bytesPerS' | 'latency' | 'loopDelayP95Ms' | 'memoryMb' | 'cpuPercent'>

/** What happens while `steady` lasts. */
async function measure(counter: Counter, broker: Mosquitto, steady: () => Promise<void>): Promise<Steady> {
  const loop = monitorEventLoopDelay({ resolution: LOOP_MS })
  const brokerCpu = (): number => usageOf(broker.pid ?? 0).cpuS
  const [messages, bytes, cpu, broker0, begun] = [counter.messages, counter.bytes, process.cpuUsage(), brokerCpu(), performance.now()]
  counter.latencies.length = 0
  loop.enable()
  await steady()
  loop.disable()
  const seconds = (performance.now() - begun) / 1_000
  const own = process.cpuUsage(cpu)
  return {
    messagesPerS: (counter.messages - messages) / seconds, bytesPerS: (counter.bytes - bytes) / seconds,
    latency: spread(counter.latencies), loopDelayP95Ms: Math.max(0, loop.percentile(95) / 1e6 - LOOP_MS),
    memoryMb: { devices: process.memoryUsage.rss() / 2 ** 20, broker: usageOf(broker.pid ?? 0).rssMb },
    cpuPercent: { devices: (own.user + own.system) / 10_000 / seconds, broker: (brokerCpu() - broker0) * 100 / seconds },
  }
}

function exampleTurn(turn: number): Parameters<Telling['tell']>[0] {
  return {
    type: 'turn', turn, firstSoundMs: 180, bargeInMs: null, spokenMs: 2_400, heardMs: 2_400, interrupted: false, ended: 'end', tools: [{ name: 'light', ok: true, ms: 11 }],
    steps: { count: 40, p50: 14, p95: 19, max: 31 }, drops: { microphoneTicks: 0, speechChunks: 0, gaps: 0 },
  }
}

export function spread(values: readonly number[]): Spread {
  const sorted = [...values].sort((a, b) => a - b)
  const at = (part: number): number => Math.round(sorted[Math.max(0, Math.ceil(part * sorted.length) - 1)] ?? 0)
  return { p50Ms: at(0.5), p95Ms: at(0.95), lastMs: at(1) }
}

/** The most in any one second. */
export function densest(values: readonly number[]): number {
  const sorted = [...values].sort((a, b) => a - b)
  let [most, from] = [0, 0]
  for (const [to, time] of sorted.entries()) {
    while (time - sorted[from]! >= 1_000) from++
    most = Math.max(most, to - from + 1)
  }
  return most
}

async function until(is: () => boolean, ms: number, what: string, signal: AbortSignal): Promise<void> {
  for (const end = performance.now() + ms; !is(); await systemClock.sleep(20, signal)) {
    if (performance.now() > end) throw new ParleyError('timeout', `waited ${ms / 1_000} s for ${what}`)
  }
}
