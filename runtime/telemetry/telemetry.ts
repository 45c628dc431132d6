import { randomBytes } from 'node:crypto'
import { mkdir } from 'node:fs/promises'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { pause, type Clock } from '../../base/clock.js'
import { describe } from '../../base/errors.js'
import type { Logger } from '../../base/log.js'
import { Backfill, type Backfilled } from './backfill.js'
import { discovery, discoveryTopic } from './discovery.js'
import { LastState } from './last-state.js'
import { Link, type LinkNews } from './link/link.js'
import { Observer } from './observer.js'
import { Outbox } from './outbox.js'
import type { Kind, TelemetryRecord } from './records.js'
import { Registry } from './registry.js'
import type { TelemetrySettings } from './settings.js'
import type { TelemetrySource } from './source.js'
import { SegmentRing } from './store/ring.js'
import { readSystem, readVersions } from './system.js'
import { TimeFloor } from './time-floor.js'
import { topicsOf, type Topics } from './topics.js'

/** How often the place in the queue is written down, if there is a queue: after a crash at most this much is sent twice, ms. */
const CURSOR_MS = 600_000
const DAY_MS = 86_400_000

export interface TelemetryOptions {
  readonly settings: TelemetrySettings
  readonly source: TelemetrySource
  readonly clock: Clock
  readonly log: Logger
  readonly version: string
  readonly hardware?: string
  readonly random?: () => number
  /** Bytes, where many devices share a process; default: this process and all below it. */
  readonly memory?: () => number
}

/** What the fleet hears of this device. It never throws into the conversation, and never waits for the broker. */
export class Telemetry implements AsyncDisposable {
  readonly topics: Topics
  readonly registry = new Registry()
  readonly time: TimeFloor
  /** For commands, desired state and jobs. */
  readonly link: Link
  readonly observer: Observer
  readonly #options: TelemetryOptions
  readonly #boxes: Record<Kind, Outbox>
  readonly #lastState: LastState
  readonly #closing = new AbortController()
  /** Begins the ids of this process, so that they never meet those of an earlier one. */
  readonly #run = randomBytes(4).toString('hex')
  #count = 0
  #opened = false
  #work: Promise<unknown>[] = []
  #old: TelemetryRecord | undefined
  /** What keeps us from the broker. Told once, not with each try: in a day without a broker those would be thousands, each with its fsync. */
  #trouble: string | undefined
  #mirrors: ((record: Backfilled) => Promise<void>)[] = []

  constructor(options: TelemetryOptions) {
    const { settings, clock, log } = options
    this.#options = options
    this.topics = topicsOf(settings.site, settings.device)
    this.time = new TimeFloor(clock, settings.folder)
    this.#lastState = new LastState(settings.folder)
    this.link = new Link({
      broker: settings.broker, clientId: `${settings.site}.${settings.device}`, clock, log, rivalTopics: this.topics,
      will: () => ({ topic: this.topics.availability, payload: 'offline', qos: 1, retain: true, delayed: true }),
      ...(options.random ? { random: options.random } : {}),
    })
    const ring = (name: string, bytes: number): SegmentRing => new SegmentRing(join(settings.folder, name), { bytes })
    this.#boxes = {
      turn: new Outbox('turn', ring('turns', settings.store.turnBytes), this.topics.turn, this.link),
      event: new Outbox('event', ring('events', settings.store.eventBytes), this.topics.event, this.link),
    }
    this.observer = new Observer(this.registry, { turn: f => void this.add('turn', f), event: f => void this.add('event', f) }, clock, settings.textReadings)
  }

  /** Opens the folder and the queue; what a folder that cannot be used would hold waits in memory. May be left to `start`. */
  async open(): Promise<void> {
    if (this.#opened) return
    this.#opened = true
    const { settings, source, log } = this.#options
    const unusable = (error: unknown): void => log.error({ folder: settings.folder, reason: describe(error) }, 'telemetry has no disk: what the broker does not take at once waits in memory')
    await mkdir(settings.folder, { recursive: true, mode: 0o700 }).catch(unusable)
    await this.time.open()
    for (const box of Object.values(this.#boxes)) await box.ring.open().catch(unusable)
    this.#old = await this.#lastState.load()
    readVersions(this.registry, this.#options.version, fileURLToPath(import.meta.url))
    source.listen(this.observer.hear)
  }

  /** Begins to connect; does not wait for the broker. */
  async start(): Promise<void> {
    const { settings, clock } = this.#options
    await this.open()
    this.link.onNews(this.#news)
    this.link.onConnect(this.#greet)
    this.link.onClose(() => this.link.publish(this.topics.availability, 'offline', { qos: 1, retain: true }))
    this.link.start()
    const backfill = new Backfill(Object.values(this.#boxes), this.link, settings.backfillPerS, clock, this.#sendOld)
    const every = (ms: number, work: () => Promise<void>): Promise<void> => this.#every(ms, work)
    this.#work = [
      backfill.run(this.#closing.signal),
      every(settings.stateS * 1_000, () => this.sendState()),
      every(settings.store.syncMs, async () => { for (const box of Object.values(this.#boxes)) await box.ring.sync() }),
      every(CURSOR_MS, async () => {
        for (const box of Object.values(this.#boxes)) await box.ring.saveCursor()
        await this.time.keep()
      }),
    ]
    await this.time.keep()
  }

  /** Records something that happened now. Resolves when it is stored or on its way; never rejects. */
  async add(kind: Kind, fields: Record<string, unknown>): Promise<void> {
    await this.#boxes[kind].add({ id: `${this.#run}-${this.#count++}`, ...this.#stamp(), ...fields })
  }

  /** Old records go to `mirror` too (Sparkplug). */
  mirrorBackfill(mirror: (record: Backfilled) => Promise<void>): void {
    this.#mirrors.push(mirror)
  }

  /** The state as it is sent. */
  async state(): Promise<Record<string, unknown>> {
    const { settings, memory } = this.#options
    await readSystem(this.registry, settings.folder, memory)
    const rings = { turn: this.#boxes.turn.ring, event: this.#boxes.event.ring }
    this.registry.set('clock_trusted', this.time.trusted)
    this.registry.set('backlog', this.#boxes.turn.waiting + this.#boxes.event.waiting)
    this.registry.set('dropped_turns', rings.turn.dropped)
    this.registry.set('dropped_events', rings.event.dropped)
    this.registry.set('store_errors', rings.turn.errors + rings.event.errors)
    this.registry.set('stored_bytes', rings.turn.written + rings.event.written)
    if (this.link.notAfter !== undefined) this.registry.set('certificate_days', Math.round((this.link.notAfter - this.time.wall()) / DAY_MS * 10) / 10)
    return { ...this.#stamp(), ...this.registry.snapshot(), parts: this.observer.parts, readings: this.observer.readings }
  }

  /** Sends the state now. QoS 0: a lost one is replaced by the next. Never rejects. */
  async sendState(): Promise<void> {
    const state = await this.state()
    if (!this.link.connected) return this.#lastState.keep({ id: `${this.#run}-state`, ...state, at: this.time.wall() }, this.#options.clock.now())
    await this.link.publish(this.topics.state, JSON.stringify(state), { qos: 0, retain: true }).catch(() => {}) // lost just now
  }

  /** Says goodbye, writes down what waits. May be called again. */
  async close(): Promise<void> {
    this.#closing.abort()
    await Promise.all(this.#work)
    await this.link.close()
    for (const box of Object.values(this.#boxes)) await box.ring.close()
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.close()
  }

  #greet = async (): Promise<void> => {
    const { settings, version, hardware } = this.#options
    const about = { site: settings.site, device: settings.device, version, ...(hardware ? { hardware } : {}) }
    const kept = { qos: 1, retain: true } as const
    await this.link.publish(this.topics.instance, this.link.instance, kept)
    await this.link.publish(this.topics.availability, 'online', kept)
    await this.link.publish(this.topics.outOfService, '', kept)
    if (settings.homeAssistant) await this.link.publish(discoveryTopic(settings.homeAssistant, about), JSON.stringify(discovery(about, this.topics)), kept)
    if (this.#old) await this.#sendOld({ ...this.#old, kind: 'state', historical: true })
    this.#old = undefined
    await this.#lastState.forget()
    await this.sendState()
  }

  #sendOld = async (record: Backfilled): Promise<void> => {
    await this.link.publish(this.topics.backfill, JSON.stringify(record), { qos: 1 })
    for (const mirror of this.#mirrors) await mirror(record).catch(() => {}) // Sparkplug's connection may be down; JSON has it
  }

  #news = (news: LinkNews): void => {
    if (news.what === 'connected') this.registry.add('reconnects')
    if (news.what === 'taken-over') this.registry.add('takeovers')
    const trouble = news.what === 'failed' ? news.code : news.what === 'taken-over' || news.what === 'rival' ? 'duplicate-id' : undefined
    if (trouble !== undefined && trouble !== this.#trouble) this.observer.hear({ type: 'error', code: trouble })
    this.#trouble = news.what === 'connected' ? undefined : trouble ?? this.#trouble
  }

  #stamp(): { at: number; clock?: 'floor' } {
    return { at: Math.round(this.time.wall()), ...(this.time.trusted ? {} : { clock: 'floor' }) }
  }

  async #every(ms: number, work: () => Promise<void>): Promise<void> {
    const { signal } = this.#closing
    while (!signal.aborted) {
      await pause(this.#options.clock, ms, signal)
      if (!signal.aborted) await work()
    }
  }
}
