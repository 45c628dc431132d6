import { randomUUID } from 'node:crypto'
import type { IPublishPacket } from 'mqtt'
import { aborted } from '../../../base/abort.js'
import { pause, type Clock } from '../../../base/clock.js'
import { ParleyError, describe } from '../../../base/errors.js'
import type { Logger } from '../../../base/log.js'
import type { BrokerSettings } from '../settings.js'
import type { Topics } from '../topics.js'
import { attempt, type Opened, type Will } from './attempt.js'
import { Backoff } from './backoff.js'
import { Flight } from './flight.js'
import { rivalHere, rivalOnline } from './rival.js'

/** MQTT 5, 3.14.2.1: another connection came with our client id. */
const TAKEN_OVER = 0x8e
/** Messages on their way at once, whatever more the broker allows. */
const MOST_FLYING = 64
/** How long a goodbye may take, and the end of the connection after it: the whole runtime is closed in 2 s. */
const CLOSE_MS = 700

export interface Message {
  readonly topic: string
  readonly payload: Buffer
  /** It was lying there, and nobody has just sent it. */
  readonly retain: boolean
  /** Monotonic ms. */
  readonly receivedAt: number
  readonly responseTopic?: string
  readonly correlationData?: Buffer
  /** Seconds that were left when the broker sent it. */
  readonly expiryS?: number
  readonly userProperties: Readonly<Record<string, string | string[]>>
}

export interface PublishOptions {
  readonly qos: 0 | 1
  readonly retain?: boolean
  readonly expiryS?: number
  readonly responseTopic?: string
  readonly correlationData?: Buffer
  readonly userProperties?: Readonly<Record<string, string | string[]>>
}

/** What those who speak over the link need of it. */
export interface Publisher {
  readonly connected: boolean
  /** QoS 1: resolves when the broker has it. Rejects with `offline` (also when the connection dies on the way) or `busy`. */
  publish(topic: string, payload: string | Buffer, options: PublishOptions): Promise<void>
}

/** `rival`: another process is this device; we keep away until it is gone. */
export type LinkNews = { readonly what: 'connected' } | { readonly what: 'lost' | 'taken-over' | 'rival' } | { readonly what: 'failed'; readonly code: string }

export interface LinkOptions {
  readonly broker: BrokerSettings
  readonly clientId: string
  readonly clock: Clock
  readonly log: Logger
  /** Made anew for each connection. */
  readonly will: () => Will
  readonly clean?: boolean
  /** With it, two processes of one device do not fight: the one that was kicked keeps away. */
  readonly rivalTopics?: Topics
  /** What a process tells of itself there; a second connection of the same process takes the first one's. */
  readonly instance?: string
  readonly random?: () => number
}

interface Subscription {
  readonly filter: string
  readonly qos: 0 | 1
  readonly hear: (message: Message) => void
}

/** The broker keeps so many for a device that is away, by deploy's mosquitto.conf or its own default, and gives them all at once. */
const MOST_EARLY = 1_000

/** One connection to the broker, kept for ever: connects, waits with full jitter, connects again. */
export class Link implements Publisher, AsyncDisposable {
  readonly instance: string
  readonly #options: LinkOptions
  readonly #backoff: Backoff
  readonly #closing = new AbortController()
  readonly #subscriptions: Subscription[] = []
  readonly #hooks: (() => Promise<void>)[] = []
  readonly #ears: ((news: LinkNews) => void)[] = []
  #current: { readonly opened: Opened; readonly flight: Flight } | undefined
  #running: Promise<void> | undefined
  /** Somebody else is this device: we ask, under another id, until it is gone. */
  #rival = false
  /** We have told the broker our instance. From then on another's there means that it came after us. */
  #greeted = false
  /** What came before it was clear that we stay: an answer to it could not be sent yet. */
  #early: Message[] = []
  #goodbye: (() => Promise<void>) | undefined
  /** Unix ms at which our certificate ends, once it was read. */
  notAfter: number | undefined

  constructor(options: LinkOptions) {
    this.#options = options
    this.instance = options.instance ?? randomUUID()
    this.#backoff = new Backoff(options.random)
  }

  /** Before `start`: `hear` gets what matches, synchronously, and must not throw. */
  subscribe(filter: string, qos: 0 | 1, hear: (message: Message) => void): void {
    this.#subscriptions.push({ filter, qos, hear })
  }

  /** Before `start`: runs after each connection and subscription, in order; an error is logged, and the next runs. */
  onConnect(hook: () => Promise<void>): void {
    this.#hooks.push(hook)
  }

  onNews(hear: (news: LinkNews) => void): void {
    this.#ears.push(hear)
  }

  /** Said just before a wanted end. */
  onClose(goodbye: () => Promise<void>): void {
    this.#goodbye = goodbye
  }

  start(): void {
    this.#running ??= this.#run()
  }

  get connected(): boolean {
    return this.#current !== undefined
  }

  async publish(topic: string, payload: string | Buffer, options: PublishOptions): Promise<void> {
    const current = this.#current
    if (!current) throw new ParleyError('offline', 'there is no connection to the broker')
    const { qos, retain, expiryS, responseTopic, correlationData, userProperties } = options
    const properties = {
      ...(expiryS === undefined ? {} : { messageExpiryInterval: expiryS }), ...(responseTopic === undefined ? {} : { responseTopic }),
      ...(correlationData ? { correlationData } : {}), ...(userProperties ? { userProperties: userProperties as Record<string, string> } : {}),
    }
    const send = async (): Promise<void> => { await current.opened.client.publishAsync(topic, payload, { qos, retain: retain ?? false, properties }) }
    if (qos === 0) void send().catch(() => {}) // QoS 0 is gone with its connection, as promised
    else await current.flight.take(send)
  }

  /** Ends with a goodbye, so that the will is not sent. May be called again. */
  async close(): Promise<void> {
    if (!this.#closing.signal.aborted) {
      const goodbye = this.#current ? this.#goodbye?.() : undefined
      const limit = new AbortController()
      await Promise.race([goodbye?.catch(() => {}), pause(this.#options.clock, CLOSE_MS, limit.signal)])
      limit.abort()
      this.#closing.abort(new ParleyError('closed', 'telemetry is closing'))
    }
    await this.#running
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.close()
  }

  async #run(): Promise<void> {
    const { signal } = this.#closing
    while (!signal.aborted) {
      const code = await this.#once(signal).catch((error: unknown) => error)
      if (signal.aborted) return
      if (code instanceof Error) {
        this.#tell({ what: 'failed', code: code instanceof ParleyError ? code.code : 'unreachable' })
        this.#options.log.debug({ reason: describe(code) }, 'no connection to the broker')
      }
      await pause(this.#options.clock, this.#backoff.next(), signal)
    }
  }

  /** One connection from its beginning to its end. */
  async #once(signal: AbortSignal): Promise<void> {
    const { broker, clientId, clock, rivalTopics } = this.#options
    if (rivalTopics && this.#rival) {
      this.#rival = await rivalOnline(broker, rivalTopics, this.instance, signal)
      if (this.#rival) return this.#tell({ what: 'rival' })
    }
    const opened = await attempt(broker, { clientId, clean: this.#options.clean ?? false, will: this.#options.will(), onMessage: this.#hear }, signal)
    const { client } = opened
    const since = clock.now()
    const flight = new Flight(Math.min(MOST_FLYING, opened.receiveMaximum))
    const over = new AbortController()
    let greeting: Promise<void> | undefined
    signal.addEventListener('abort', () => over.abort(), { once: true, signal: over.signal })
    client.once('close', () => over.abort())
    try {
      if (!client.connected) return
      this.notAfter = opened.notAfter
      if (rivalTopics && this.#greeted && await rivalHere(client, rivalTopics, this.instance)) {
        this.#rival = true
        return this.#tell({ what: 'taken-over' })
      }
      this.#current = { opened, flight }
      for (const message of this.#early.splice(0)) this.#give(message)
      greeting = this.#greet(client, flight)
      await aborted(over.signal)
    } finally {
      over.abort()
      const wasCurrent = this.#current?.opened === opened
      this.#current = undefined
      this.#early = []
      flight.end(new ParleyError('offline', 'the connection to the broker was lost'))
      await greeting // its hooks write files: none may come after the end, or beside the next connection's
      const byUs = signal.aborted || this.#rival
      const ended = new Promise<void>(resolve => { client.end(!byUs, {}, () => resolve()) }) // said politely, the will is not sent
      if (byUs) await Promise.race([ended, clock.sleep(CLOSE_MS)])
      this.#backoff.lasted(clock.now() - since)
      if (opened.reason() === TAKEN_OVER && rivalTopics) this.#rival = true
      if (wasCurrent && !signal.aborted) this.#tell({ what: this.#rival ? 'taken-over' : 'lost' })
    }
  }

  async #greet(client: Opened['client'], flight: Flight): Promise<void> {
    try {
      for (const { filter, qos } of this.#subscriptions) await flight.take(() => client.subscribeAsync(filter, { qos }))
      for (const hook of this.#hooks) await hook()
      this.#greeted = true
      this.#tell({ what: 'connected' })
    } catch (error) {
      if (!client.connected) return // the loop tries again
      this.#options.log.warn({ reason: describe(error) }, 'the broker did not take our greeting')
      client.end(true)
    }
  }

  #tell(news: LinkNews): void {
    for (const hear of this.#ears) hear(news)
  }

  #hear = (topic: string, payload: Buffer, packet: IPublishPacket): void => {
    const { responseTopic, correlationData, messageExpiryInterval, userProperties } = packet.properties ?? {}
    const message: Message = {
      topic, payload, retain: packet.retain, receivedAt: this.#options.clock.now(), userProperties: userProperties ?? {},
      ...(responseTopic === undefined ? {} : { responseTopic }), ...(correlationData === undefined ? {} : { correlationData }),
      ...(messageExpiryInterval === undefined ? {} : { expiryS: messageExpiryInterval }),
    }
    if (this.#current) this.#give(message)
    else if (this.#early.length < MOST_EARLY) this.#early.push(message)
  }

  #give(message: Message): void {
    for (const { filter, hear } of this.#subscriptions) if (matches(filter, message.topic)) hear(message)
  }
}

/** MQTT 5, 4.7: `+` is one level, `#` all that follow. */
export function matches(filter: string, topic: string): boolean {
  const [want, have] = [filter.split('/'), topic.split('/')]
  for (const [i, level] of want.entries()) {
    if (level === '#') return true
    if (have[i] === undefined || (level !== '+' && level !== have[i])) return false
  }
  return want.length === have.length
}
