import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import mqtt, { type IClientOptions, type IPublishPacket, type MqttClient } from 'mqtt'
import { pino } from 'pino'
import { ManualClock, systemClock, type Clock } from '../../base/clock.js'
import { telemetrySettings, type TelemetrySettings } from '../../runtime/telemetry/settings.js'
import { Telling, type TurnRecord } from '../../runtime/telemetry/source.js'
import { Telemetry } from '../../runtime/telemetry/telemetry.js'
import type { Broker } from '../rig/broker.js'

export const silent = pino({ level: 'silent' })

/** A folder that goes with the test. */
export class Folder implements AsyncDisposable {
  readonly path: string
  private constructor(path: string) {
    this.path = path
  }

  static async make(): Promise<Folder> {
    return new Folder(await mkdtemp(join(tmpdir(), 'parley-telemetry-')))
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await rm(this.path, { recursive: true, force: true })
  }
}

export function settingsFor(url: string, folder: string, more: Record<string, unknown> = {}): TelemetrySettings {
  return telemetrySettings.parse({ site: 'lab', device: 'r1', broker: { url }, folder, ...more })
}

/** Reconnects soon, so that tests are short; the jitter has its own test. */
export const soon = (): number => 0.02

export async function startTelemetry(broker: Pick<Broker, 'url'>, folder: string, more: Record<string, unknown> = {}, clock: Clock = systemClock): Promise<Telemetry & { tell: Telling['tell'] }> {
  const source = new Telling()
  const telemetry = new Telemetry({ settings: settingsFor(broker.url, folder, more), source, clock, log: silent, version: '1.2.3', random: soon })
  await telemetry.start()
  return Object.assign(telemetry, { tell: source.tell })
}

export function turn(n: number, more: Partial<TurnRecord> = {}): TurnRecord {
  return {
    type: 'turn', turn: n, firstSoundMs: 180 + n, bargeInMs: null, spokenMs: 900, heardMs: 900, interrupted: false, ended: 'end',
    tools: [{ name: 'light', ok: true, ms: 12 }], steps: { count: 12, p50: 14, p95: 19, max: 31 }, drops: { microphoneTicks: 0, speechChunks: 0, gaps: 0 }, ...more,
  }
}

export interface Heard {
  readonly topic: string
  readonly payload: Buffer
  readonly packet: IPublishPacket
}

/** Somebody else at the broker, who hears all of `filter`. */
export class Listener implements AsyncDisposable {
  readonly heard: Heard[] = []
  readonly client: MqttClient
  #wake: (() => void)[] = []

  private constructor(client: MqttClient) {
    this.client = client
  }

  static async open(url: string, filter: string | readonly string[] = '#', options: IClientOptions = {}): Promise<Listener> {
    const client = mqtt.connect(url, { protocolVersion: 5, reconnectPeriod: 50, ...options })
    const listener = new Listener(client)
    client.on('message', (topic, payload, packet) => {
      listener.heard.push({ topic, payload, packet })
      for (const wake of listener.#wake.splice(0)) wake()
    })
    await new Promise<void>((resolve, reject) => { client.once('connect', () => resolve()); client.once('error', reject) })
    client.on('error', () => {})
    await client.subscribeAsync([...(typeof filter === 'string' ? [filter] : filter)], { qos: 1 })
    return listener
  }

  all(topic: string): Heard[] {
    return this.heard.filter(h => h.topic === topic)
  }

  json(topic: string): Record<string, any>[] {
    return this.all(topic).filter(h => h.payload.length > 0).map(h => JSON.parse(h.payload.toString()))
  }

  /** Waits until something heard fulfils `want`; fails after `ms` with what it wanted. */
  async until(want: (heard: Heard) => boolean, what: string, ms = 30_000): Promise<Heard> {
    for (const end = performance.now() + ms; ;) {
      const found = this.heard.find(want)
      if (found) return found
      const left = end - performance.now()
      if (left <= 0) throw new Error(`not heard in ${ms} ms: ${what}; heard: ${this.heard.slice(-8).map(h => `${h.topic} ${h.payload.toString().slice(0, 120)}`).join(' | ')}`)
      await new Promise<void>(resolve => { const t = setTimeout(resolve, left); this.#wake.push(() => { clearTimeout(t); resolve() }) })
    }
  }

  async publish(topic: string, value: unknown, options: Parameters<MqttClient['publishAsync']>[2] = {}): Promise<void> {
    await this.client.publishAsync(topic, typeof value === 'string' || Buffer.isBuffer(value) ? value : JSON.stringify(value), { qos: 1, ...options })
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.client.endAsync(true)
  }
}

/** Waits until `true`; fails after `ms`, which is long, because a busy machine is no failure. */
export async function eventually(what: string, is: () => boolean | Promise<boolean>, ms = 30_000): Promise<void> {
  for (const end = performance.now() + ms; !(await is());) {
    if (performance.now() > end) throw new Error(`not within ${ms} ms: ${what}`)
    await new Promise(resolve => setTimeout(resolve, 20))
  }
}

export const wait = (ms: number): Promise<void> => new Promise(resolve => setTimeout(resolve, ms))

/** A manual clock on a day of our time. */
export class DayClock extends ManualClock {
  override wall(): number {
    return Date.UTC(2026, 5, 1) + this.now()
  }
}

/** The device has subscribed to everything and said who it is, for the `times`th time: from now on it hears. */
export async function greeted(telemetry: Telemetry, times = 1): Promise<void> {
  await eventually(`greeting ${times} is over`, () => Number(telemetry.registry.get('reconnects') ?? 0) >= times)
}

/** A count that stands still for so long will not go on, ms. */
const STUCK_MS = 20_000

/**
 * Moves a manual clock on until the count is reached; fails when it stands still, however slow the machine is. Between two steps
 * the sockets and the disk get their turn: a clock that is spun without that lets hours of fsyncs pass between two packets.
 */
export async function pumped(clock: ManualClock, what: string, count: () => number, wanted: number, stepMs = 1): Promise<void> {
  for (let last = count(), moved = performance.now(); last < wanted;) {
    await clock.advance(stepMs)
    await new Promise(resolve => setImmediate(resolve))
    if (count() !== last) [last, moved] = [count(), performance.now()]
    else if (performance.now() - moved > STUCK_MS) throw new Error(`${what}: ${last} of ${wanted}, and none for ${STUCK_MS} ms`)
  }
}
