import { Socket } from 'node:net'
import mqtt, { type IClientOptions, type MqttClient } from 'mqtt'
import { aborted, childAbort, withTimeout } from '../../base/abort.js'
import { pause, systemClock, type Clock } from '../../base/clock.js'
import { ParleyError, describe } from '../../base/errors.js'
import type { Logger } from '../../base/log.js'
import type { PublishOptions } from '../../drivers/actuators/mqtt.js'
import { Backoff } from '../telemetry/link/backoff.js'
import { connectError, readCredentials } from '../telemetry/link/credentials.js'
import type { MqttSettings } from './settings.js'

const CONNECT_MS = 5_000
/** A link that is dead without saying so is seen after one and a half of it, s. */
const KEEPALIVE_S = 5
/** A broker takes a message of this size in ms. Less than the 5 s of an actuator, so that it is we who end a link that does not. */
const PUBLISH_LIMIT_MS = 3_000
/** A stop has 5 s: this leaves time for another connection. */
const URGENT_LIMIT_MS = 1_500
/** While a stop waits, a try begins at least so often. */
const URGENT_RETRY_MS = 500
/** A goodbye is a courtesy, ms. */
const GOODBYE_MS = 300

interface Live {
  readonly client: MqttClient
  /** Some brokers take less than 2. */
  readonly mostQos: number
  readonly over: AbortController
}

export interface PublisherOptions {
  readonly clock?: Clock
  readonly random?: () => number
}

/**
 * Commands to a broker. What cannot be sent now is refused, never kept: a stale "go" must not be carried out later. So each
 * connection has a client of its own, with which all is forgotten that was on its way; and a message that is not taken in time,
 * or is aborted, takes the connection or its second half with it: of QoS 2 the broker then has the message, but not our word to
 * pass it on (MQTT 5, 4.3.3, method A, as in Mosquitto). QoS 1 cannot promise that of what lies in a buffer beyond ours.
 *
 * A stop is the exception, for it is never wrong: with `keepMs` a message that the broker did not get is sent again on the next
 * connection, before anything else, unless it is older than that. The newest of a topic replaces those before, and while one
 * waits, the next connection is tried soon instead of at the backoff's leisure.
 */
export class MqttPublisher implements AsyncDisposable {
  readonly #url: string
  readonly #options: IClientOptions
  readonly #log: Logger
  readonly #clock: Clock
  readonly #random: () => number
  readonly #backoff: Backoff
  readonly #closing = new AbortController()
  /** By topic. */
  readonly #urgent = new Map<string, { readonly go: () => void; readonly fail: (error: unknown) => void }>()
  #wake: () => void = () => {}
  #live: Live | undefined
  #running: Promise<void> | undefined

  private constructor(url: string, options: IClientOptions, log: Logger, { clock = systemClock, random = Math.random }: PublisherOptions) {
    this.#url = url
    this.#options = options
    this.#log = log
    this.#clock = clock
    this.#random = random
    this.#backoff = new Backoff(random)
  }

  /** Begins to connect; does not wait for the broker: the conversation does not depend on it. Throws what `readSecret` throws. */
  static async open({ url, username, passwordFile, clientId }: MqttSettings, log: Logger, options: PublisherOptions = {}): Promise<MqttPublisher> {
    const credentials = await readCredentials({ url, ...(username ? { username } : {}), ...(passwordFile ? { passwordFile } : {}) })
    const publisher = new MqttPublisher(url, {
      ...credentials, ...(clientId ? { clientId } : {}), protocolVersion: 5, clean: true, keepalive: KEEPALIVE_S,
      connectTimeout: CONNECT_MS, reconnectPeriod: 0, resubscribe: false, queueQoSZero: false,
    }, log, options)
    publisher.#running = publisher.#run()
    return publisher
  }

  get connected(): boolean {
    return this.#live !== undefined
  }

  /** Rejects with `mqtt-offline`, `timeout`, the signal's reason, or what the broker says. */
  readonly publish = async (topic: string, payload: string, options: PublishOptions): Promise<void> => {
    const until = this.#clock.now() + (options.keepMs ?? 0)
    for (;;) {
      const live = this.#live
      try {
        return await this.#send(topic, payload, options)
      } catch (error) {
        const left = until - this.#clock.now()
        const refused = live !== undefined && live === this.#live // by a broker that is there, which would say the same again
        if (left <= 0 || refused || this.#closing.signal.aborted) throw error
        await this.#connection(topic, left, error)
      }
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    const closed = new ParleyError('closed', 'the publisher was closed')
    this.#closing.abort(closed)
    for (const { fail } of this.#urgent.values()) fail(closed)
    await this.#running
  }

  async #send(topic: string, payload: string, { qos, expiryS, keepMs, signal }: PublishOptions): Promise<void> {
    const live = this.#live
    if (!live) throw new ParleyError('mqtt-offline', 'the broker is not connected; the message was not kept')
    const { client, over, mostQos } = live
    const limitMs = keepMs ? URGENT_LIMIT_MS : PUBLISH_LIMIT_MS
    const late = new AbortController()
    const given = AbortSignal.any([late.signal, over.signal, ...(signal ? [signal] : [])])
    given.throwIfAborted() // an event that is over would not come again
    const timer = setTimeout(() => late.abort(new ParleyError('timeout', `the broker did not take the message in ${limitMs} ms`)), limitMs)
    const level = Math.min(qos, mostQos) as 0 | 1 | 2
    const sent = client.publishAsync(topic, payload, { qos: level, properties: { messageExpiryInterval: expiryS } })
    const id = level > 0 ? client.getLastMessageId() : undefined
    try {
      await new Promise((resolve, reject) => {
        given.addEventListener('abort', () => reject(given.reason), { once: true })
        sent.then(resolve, reject)
      })
    } catch (error) {
      // Its id stays taken, so that a late answer of the broker finds nobody who would release the message, nor another message.
      if (id !== undefined) delete client.outgoing[id]
      if (late.signal.aborted) over.abort(error)
      throw error
    } finally {
      clearTimeout(timer)
    }
  }

  /** Resolves with the next connection. Rejects with `error` after `ms`, or when a newer message for this topic waits. */
  async #connection(topic: string, ms: number, error: unknown): Promise<void> {
    if (this.#live) return
    this.#urgent.get(topic)?.fail(error)
    let own
    let timer: NodeJS.Timeout | undefined
    try {
      await new Promise<void>((go, fail) => {
        this.#urgent.set(topic, (own = { go, fail }))
        timer = setTimeout(() => fail(error), ms)
        this.#wake()
      })
    } finally {
      clearTimeout(timer)
      if (this.#urgent.get(topic) === own) this.#urgent.delete(topic)
    }
  }

  async #run(): Promise<void> {
    const { signal } = this.#closing
    while (!signal.aborted) {
      await this.#once(signal)
      if (signal.aborted) return
      const rest = childAbort(signal)
      this.#wake = () => rest.abort()
      await pause(this.#clock, this.#urgent.size > 0 ? this.#random() * URGENT_RETRY_MS : this.#backoff.next(), rest.signal)
      rest.abort()
    }
  }

  /** One connection from its beginning to its end. */
  async #once(signal: AbortSignal): Promise<void> {
    const over = childAbort(signal)
    const lost = (): void => over.abort(new ParleyError('mqtt-offline', 'the connection to the broker was lost'))
    const client = mqtt.connect(this.#url, this.#options)
    let since: number | undefined
    client.on('error', error => this.#log.warn({ reason: describe(connectError(error)) }, 'mqtt'))
    client.once('close', lost)
    over.signal.addEventListener('abort', () => { this.#live = undefined }, { once: true })
    client.once('connect', ({ properties }) => {
      since = this.#clock.now()
      this.#live = { client, mostQos: properties?.maximumQoS ?? 2, over }
      for (const { go } of this.#urgent.values()) go() // in the same turn of the event loop, so before anything else
    })
    await aborted(over.signal)
    if (signal.aborted && client.connected) await withTimeout(client.endAsync(), GOODBYE_MS, 'the goodbye').catch(() => {})
    // Not closed but reset, where we may: the system would go on sending what still lies in its buffer.
    if (client.stream instanceof Socket && !('encrypted' in client.stream)) client.stream.resetAndDestroy()
    client.end(true)
    if (since !== undefined) this.#backoff.lasted(this.#clock.now() - since)
  }
}
