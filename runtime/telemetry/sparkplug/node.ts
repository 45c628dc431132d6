import { pause, type Clock } from '../../../base/clock.js'
import type { Logger } from '../../../base/log.js'
import type { Backfilled } from '../backfill.js'
import { Link, type Message } from '../link/link.js'
import { METRICS, METRIC_KEYS, type Value } from '../metrics.js'
import type { TelemetrySettings } from '../settings.js'
import type { Telemetry } from '../telemetry.js'
import { decodePayload, encodePayload, type SparkplugMetric, type SparkplugType } from './payload.js'

export interface SparkplugOptions {
  readonly telemetry: Telemetry
  readonly settings: TelemetrySettings
  readonly sparkplug: { readonly group: string; readonly everyS: number }
  readonly clock: Clock
  readonly log: Logger
  readonly random?: () => number
}

/** How long the past waits for a birth after telemetry's own connection has come, ms: what is handed over before it is lost here. */
const BIRTH_LIMIT_MS = 10_000
const LOOK_MS = 50
const REBIRTH = 'Node Control/Rebirth'

/**
 * The device as a Sparkplug B edge node, on a connection of its own: a clean session, its death as the will, data of QoS 0.
 * Each driver is a Sparkplug device. Source: Eclipse Sparkplug 3.0, chapters 5 and 6.
 */
export class SparkplugNode implements AsyncDisposable {
  readonly #options: SparkplugOptions
  readonly #link: Link
  readonly #closing = new AbortController()
  #work: Promise<void> | undefined
  /** 0 to 255; says which birth a death belongs to. */
  #bdSeq = -1
  #seq = 0
  #born = false
  /** Births and data follow each other: one that began before a birth must not go on after it. */
  #chain: Promise<void> = Promise.resolve()
  #waitUntil = 0
  #sent = new Map<string, Value | null>()
  /** Drivers whose birth was said. */
  #devices = new Set<string>()

  constructor(options: SparkplugOptions) {
    const { settings, clock, log, sparkplug, random, telemetry } = options
    this.#options = options
    this.#link = new Link({
      broker: settings.broker, clientId: `${settings.site}.${settings.device}.spb`, clean: true, clock, log, rivalTopics: telemetry.topics, instance: telemetry.link.instance, ...(random ? { random } : {}),
      will: () => {
        this.#bdSeq = (this.#bdSeq + 1) % 256
        return { topic: this.#topic('NDEATH'), payload: this.#death(), qos: 1, retain: false, delayed: false }
      },
    })
    this.#link.subscribe(`spBv1.0/${sparkplug.group}/NCMD/${settings.device}`, 1, this.#command)
    this.#link.onConnect(() => this.#inOrder(() => this.#birth()))
    this.#link.onClose(async () => { await this.#link.publish(this.#topic('NDEATH'), this.#death(), { qos: 1 }) })
    telemetry.link.onNews(news => { if (news.what === 'connected') this.#waitUntil = clock.now() + BIRTH_LIMIT_MS })
    telemetry.mirrorBackfill(record => this.#old(record))
  }

  start(): void {
    this.#link.start()
    this.#work ??= this.#run()
  }

  async close(): Promise<void> {
    this.#closing.abort()
    await this.#work
    await this.#chain
    await this.#link.close()
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.close()
  }

  async #run(): Promise<void> {
    const { signal } = this.#closing
    while (!signal.aborted) {
      await pause(this.#options.clock, this.#options.sparkplug.everyS * 1_000, signal)
      if (!signal.aborted && this.#link.connected && this.#born) await this.#inOrder(() => this.#data()).catch(() => {}) // lost just now; the next birth says it all
    }
  }

  #inOrder(work: () => Promise<void>): Promise<void> {
    const done = this.#chain.then(work)
    this.#chain = done.catch(() => {}) // whoever asked for it is told; the next is its own
    return done
  }

  /** NBIRTH with everything that will ever be sent, then a DBIRTH for each driver. */
  async #birth(): Promise<void> {
    this.#born = false
    this.#seq = 0
    this.#sent.clear()
    this.#devices.clear()
    await this.#options.telemetry.state()
    const at = this.#now()
    const control: SparkplugMetric[] = [
      { name: 'bdSeq', type: 'UInt64', value: this.#bdSeq, timestamp: at },
      { name: REBIRTH, type: 'Boolean', value: false, timestamp: at },
    ]
    const metrics = METRIC_KEYS.map(key => this.#metric(key, at))
    await this.#send(this.#topic('NBIRTH'), [...control, ...metrics])
    for (const [name, part] of Object.entries(this.#options.telemetry.observer.parts)) await this.#birthOf(name, part, at)
    this.#born = true
  }

  async #birthOf(name: string, part: { ok: boolean; progressMs: number }, at: number): Promise<void> {
    this.#devices.add(name)
    await this.#send(this.#topic('DBIRTH', name), partMetrics(part, at))
  }

  /** What has changed since it was last said. */
  async #data(): Promise<void> {
    if (!this.#born) return
    await this.#options.telemetry.state()
    const at = this.#now()
    const before = new Map(this.#sent)
    const changed = METRIC_KEYS.map(key => this.#metric(key, at)).filter(m => before.get(m.name) !== m.value)
    if (changed.length > 0) await this.#send(this.#topic('NDATA'), changed)
    for (const [name, part] of Object.entries(this.#options.telemetry.observer.parts)) {
      if (this.#devices.has(name)) await this.#send(this.#topic('DDATA', name), partMetrics(part, at))
      else await this.#birthOf(name, part, at)
    }
  }

  /** A turn of the past, with its own time, so that it does not change what is shown as now. */
  async #old(record: Backfilled): Promise<void> {
    const { clock } = this.#options
    if (record.kind !== 'turn') return
    while (!this.#born && clock.now() < this.#waitUntil && !this.#closing.signal.aborted) await pause(clock, LOOK_MS, this.#closing.signal)
    if (!this.#link.connected || !this.#born) return // JSON has it
    const values = [['first_sound', record['firstSoundMs']], ['barge_in', record['bargeInMs']]] as const
    const known = values.flatMap(([key, value]): SparkplugMetric[] => (typeof value === 'number' ? [{ name: METRICS[key].name, type: 'Double', value, timestamp: record.at, historical: true }] : []))
    if (known.length > 0) await this.#inOrder(async () => { if (this.#born) await this.#send(this.#topic('NDATA'), known) })
  }

  #metric(key: (typeof METRIC_KEYS)[number], at: number): SparkplugMetric {
    const { name, kind } = METRICS[key]
    const type: SparkplugType = kind === 'text' ? 'String' : kind === 'flag' ? 'Boolean' : 'Double'
    const value = this.#options.telemetry.registry.get(key) ?? null
    this.#sent.set(name, value)
    return { name, type, value, timestamp: at }
  }

  async #send(topic: string, metrics: readonly SparkplugMetric[]): Promise<void> {
    const seq = this.#seq
    this.#seq = (seq + 1) % 256
    await this.#link.publish(topic, encodePayload({ timestamp: this.#now(), seq, metrics }), { qos: 0 })
  }

  #command = (message: Message): void => {
    try {
      if (message.retain || message.payload.length > 4_096) return
      const wanted = decodePayload(message.payload).metrics.some(m => m.name === REBIRTH && m.value === true)
      if (wanted) void this.#inOrder(() => this.#birth()).catch(() => {}) // lost just now; it is born again at the next connection
    } catch {
      this.#options.log.debug('a Sparkplug command that cannot be read')
    }
  }

  #death(): Buffer {
    const timestamp = this.#now()
    return encodePayload({ timestamp, metrics: [{ name: 'bdSeq', type: 'UInt64', value: this.#bdSeq, timestamp }] })
  }

  #topic(type: string, device?: string): string {
    const { sparkplug, settings } = this.#options
    return ['spBv1.0', sparkplug.group, type, settings.device, ...(device ? [device.replaceAll(/[^A-Za-z0-9_.-]/g, '_')] : [])].join('/')
  }

  #now(): number {
    return Math.round(this.#options.telemetry.time.wall())
  }
}

function partMetrics(part: { ok: boolean; progressMs: number }, at: number): SparkplugMetric[] {
  return [
    { name: 'ok', type: 'Boolean', value: part.ok, timestamp: at },
    { name: 'progress', type: 'Double', value: part.progressMs, timestamp: at },
  ]
}
