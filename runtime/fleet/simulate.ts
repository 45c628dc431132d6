import { spawn, type ChildProcess } from 'node:child_process'
import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { pathToFileURL } from 'node:url'
import { parseArgs } from 'node:util'
import mqtt from 'mqtt'
import { pino } from 'pino'
import { systemClock } from '../../base/clock.js'
import { ParleyError, describe } from '../../base/errors.js'
import { answers, freePort } from '../../base/ports.js'
import { telemetrySettings } from '../telemetry/settings.js'
import { Telling } from '../telemetry/source.js'
import { Telemetry } from '../telemetry/telemetry.js'

export interface Simulation {
  readonly devices: number
  /** How long the steady part lasts, s. */
  readonly seconds: number
  /** Between two turns of a device, s. */
  readonly turnS: number
  readonly stateS: number
  /** How long the broker is away, s. */
  readonly awayS: number
}

export interface Figures {
  readonly devices: number
  /** Until all were connected the first time, ms. */
  readonly connectMs: number
  readonly messagesPerS: number
  readonly bytesPerS: number
  /** Resident memory that one more device costs this process, kB. */
  readonly memoryKbPerDevice: number
  /** CPU of this process a device, ms a second. */
  readonly cpuMsPerDeviceS: number
  /** After the broker came back: when the devices did, ms, and the most in one second. */
  readonly storm: { readonly p50Ms: number; readonly p95Ms: number; readonly lastMs: number; readonly mostInOneSecond: number }
  /** Turns told and turns that arrived, live or late. */
  readonly told: number
  readonly arrived: number
}

/** N devices, the real telemetry and no sound, against a real Mosquitto on this machine. */
export async function simulate(plan: Simulation, say: (line: string) => void): Promise<Figures> {
  const folder = await mkdtemp(join(tmpdir(), 'parley-fleet-'))
  const broker = new Mosquitto(folder)
  const devices: { telemetry: Telemetry; source: Telling }[] = []
  const timers: NodeJS.Timeout[] = []
  try {
    await broker.start()
    const counted = { messages: 0, bytes: 0, turns: new Set<string>() }
    const counter = mqtt.connect(broker.url, { protocolVersion: 5, clientId: 'counter', clean: false, reconnectPeriod: 100, properties: { sessionExpiryInterval: 600, receiveMaximum: 1_000 } })
    counter.on('error', () => {}) // it comes back by itself
    counter.on('connect', () => { counter.subscribe('parley/v1/#', { qos: 1 }) })
    counter.on('message', (topic, payload) => {
      counted.messages++
      counted.bytes += payload.length + topic.length
      if (!topic.endsWith('/turn') && !topic.endsWith('/backfill')) return
      const { id, kind } = JSON.parse(payload.toString('utf8')) as { id?: string; kind?: string }
      if (id && (kind ?? 'turn') === 'turn') counted.turns.add(`${topic.split('/')[3]} ${id}`)
    })

    const memoryBefore = process.memoryUsage.rss()
    const connects: number[] = []
    const begun = performance.now()
    for (let n = 0; n < plan.devices; n++) devices.push(await startOne(n, folder, broker.url, plan, () => connects.push(performance.now())))
    await until(() => connects.length >= plan.devices, 120_000, 'all devices to connect')
    const connectMs = Math.max(...connects) - begun
    say(`${plan.devices} devices are connected`)

    let told = 0
    for (const [n, { source }] of devices.entries()) {
      let turn = 0
      const tell = (): void => { source.tell(exampleTurn(++turn)); told++ }
      const every = plan.turnS * 1_000
      timers.push(setTimeout(() => { tell(); timers.push(setInterval(tell, every)) }, (n / plan.devices) * every))
    }
    await pause(2_000)
    const [m0, b0, c0, t0] = [counted.messages, counted.bytes, process.cpuUsage(), performance.now()]
    await pause(plan.seconds * 1_000)
    const seconds = (performance.now() - t0) / 1_000
    const cpu = process.cpuUsage(c0)
    const steady = { messagesPerS: (counted.messages - m0) / seconds, bytesPerS: (counted.bytes - b0) / seconds }
    const memoryKbPerDevice = (process.memoryUsage.rss() - memoryBefore) / plan.devices / 1_024
    say(`${Math.round(steady.messagesPerS)} messages/s`)

    await broker.kill()
    await pause(plan.awayS * 1_000)
    connects.length = 0
    await broker.start()
    const back = performance.now()
    await until(() => connects.length >= plan.devices, 180_000, 'all devices to come back')
    const after = connects.map(at => at - back).sort((a, b) => a - b)
    for (const timer of timers) clearTimeout(timer)
    await until(() => counted.turns.size >= told, 60_000, 'all turns to arrive').catch(() => {}) // the figures say so
    counter.end(true)
    return {
      devices: plan.devices, connectMs, ...steady, memoryKbPerDevice, cpuMsPerDeviceS: (cpu.user + cpu.system) / 1_000 / seconds / plan.devices,
      storm: { p50Ms: at(after, 0.5), p95Ms: at(after, 0.95), lastMs: at(after, 1), mostInOneSecond: densest(after) },
      told, arrived: counted.turns.size,
    }
  } finally {
    for (const timer of timers) clearTimeout(timer)
    await Promise.all(devices.map(d => d.telemetry.close()))
    await broker.kill()
    await rm(folder, { recursive: true, force: true })
  }
}

async function startOne(n: number, folder: string, url: string, plan: Simulation, connected: () => void): Promise<{ telemetry: Telemetry; source: Telling }> {
  const device = `sim${n}`
  const settings = telemetrySettings.parse({ site: 'bench', device, broker: { url }, folder: join(folder, device), stateS: plan.stateS })
  const source = new Telling()
  const telemetry = new Telemetry({ settings, source, clock: systemClock, log: pino({ level: 'silent' }), version: 'bench' })
  telemetry.link.onNews(news => { if (news.what === 'connected') connected() })
  await telemetry.start()
  return { telemetry, source }
}

function exampleTurn(turn: number): Parameters<Telling['tell']>[0] {
  return {
    type: 'turn', turn, firstSoundMs: 180, bargeInMs: null, spokenMs: 2_400, heardMs: 2_400, interrupted: false, ended: 'end', tools: [{ name: 'light', ok: true, ms: 11 }],
    steps: { count: 40, p50: 14, p95: 19, max: 31 }, drops: { microphoneTicks: 0, speechChunks: 0 },
  }
}

const at = (sorted: readonly number[], part: number): number => Math.round(sorted[Math.max(0, Math.ceil(part * sorted.length) - 1)] ?? 0)
const pause = (ms: number): Promise<void> => new Promise(resolve => setTimeout(resolve, ms))

/** The most in any one second. */
function densest(sorted: readonly number[]): number {
  return Math.max(0, ...sorted.map((from, i) => sorted.filter((t, j) => j >= i && t < from + 1_000).length))
}

async function until(is: () => boolean, ms: number, what: string): Promise<void> {
  for (const end = performance.now() + ms; !is(); await pause(20)) {
    if (performance.now() > end) throw new ParleyError('timeout', `waited ${ms / 1_000} s for ${what}`)
  }
}

class Mosquitto {
  readonly #folder: string
  #port = 0
  #child: ChildProcess | undefined

  constructor(folder: string) {
    this.#folder = folder
  }

  get url(): string {
    return `mqtt://127.0.0.1:${this.#port}`
  }

  async start(): Promise<void> {
    this.#port ||= await freePort()
    const conf = join(this.#folder, 'mosquitto.conf')
    await writeFile(conf, `user root\nlistener ${this.#port} 127.0.0.1\nallow_anonymous true\npersistence false\nmax_queued_messages 100000\nmax_inflight_messages 1000\n`)
    const child = spawn('mosquitto', ['-c', conf], { stdio: 'ignore', env: { ...process.env, PATH: `${process.env['PATH']}:/usr/sbin` } })
    this.#child = child
    let missing: unknown
    child.once('error', error => { missing = error })
    for (let tries = 0; tries < 250; tries++) {
      if (missing) throw new ParleyError('no-mosquitto', 'the simulation needs a Mosquitto', { hint: 'apt-get install mosquitto', cause: missing })
      if (await answers(this.#port)) return
      await pause(20)
    }
    throw new ParleyError('broker-dead', 'mosquitto does not answer')
  }

  async kill(): Promise<void> {
    const child = this.#child
    this.#child = undefined
    if (!child || child.exitCode !== null || child.signalCode !== null) return
    const gone = new Promise(resolve => child.once('exit', resolve))
    child.kill('SIGKILL')
    await gone
  }
}

/** More than the links' 30 s after which a connection was a good one: the way back from that is what a fleet sees. */
const STEADY_S = 40

/** `npm run bench:fleet -- --devices 200 --seconds 40 --turn 5 --state 10 --away 5` */
export async function simulateMain(argv: readonly string[]): Promise<number> {
  const option = (value: string): { type: 'string'; default: string } => ({ type: 'string', default: value })
  const { values } = parseArgs({ args: [...argv], options: { devices: option('100'), seconds: option(String(STEADY_S)), turn: option('5'), state: option('10'), away: option('5') } })
  const [devices, seconds, turnS, stateS, awayS] = [values.devices, values.seconds, values.turn, values.state, values.away].map(Number) as [number, number, number, number, number]
  const figures = await simulate({ devices, seconds, turnS, stateS, awayS }, line => process.stderr.write(`${line}\n`))
  process.stdout.write(`${JSON.stringify(figures, (_k, v: unknown) => (typeof v === 'number' ? Math.round(v * 100) / 100 : v), 2)}\n`)
  return 0
}

if (process.argv[1] && import.meta.url === pathToFileURL(process.argv[1]).href) {
  process.exitCode = await simulateMain(process.argv.slice(2)).catch((error: unknown) => {
    process.stderr.write(`${describe(error)}\n`)
    return 1
  })
}
