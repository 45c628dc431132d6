import { randomBytes } from 'node:crypto'
import mqtt, { type MqttClient } from 'mqtt'
import { aborted } from '../../base/abort.js'
import { ParleyError } from '../../base/errors.js'
import { connectError, readCredentials } from '../telemetry/link/credentials.js'
import type { BrokerSettings } from '../telemetry/settings.js'
import { PREFIX, topicsOf } from '../telemetry/topics.js'
import { TRACE_PROPERTY } from '../telemetry/trace.js'

const CONNECT_MS = 10_000
/** Retained messages come right after the subscription; nothing more for so long means that these were all, ms. */
const QUIET_MS = 400

export interface Answer {
  readonly ok: boolean
  readonly result?: unknown
  readonly error?: { readonly code: string; readonly message: string; readonly hint?: string }
}

/** MQTT 5, 3.14.2.1. */
const PACKET_TOO_LARGE = 0x95

type Ear = (topic: string, payload: Buffer, correlation: Buffer | undefined) => void

/** The fleet's owner at the broker: one short connection. */
export class Owner implements AsyncDisposable {
  readonly #client: MqttClient
  readonly #id = `owner-${randomBytes(4).toString('hex')}`
  readonly #ears = new Set<Ear>()
  /** Rejects, with the reason, once nothing that is on its way can be answered: MQTT.js itself leaves that open for ever. */
  readonly #lost: Promise<never>
  #isLost = false

  private constructor(client: MqttClient) {
    this.#client = client
    this.#lost = new Promise((_, reject) => {
      const fail = (error: ParleyError): void => {
        this.#isLost = true
        reject(error)
      }
      client.on('disconnect', ({ reasonCode }) => {
        if (reasonCode === PACKET_TOO_LARGE) fail(new ParleyError('too-large', 'the broker takes no packet as large as this', { hint: 'See max_packet_size in its configuration.' }))
      })
      client.on('error', cause => fail(new ParleyError('offline', 'the connection to the broker failed', { cause }))) // also an answer that MQTT.js does not understand
      client.on('close', () => fail(new ParleyError('offline', 'the connection to the broker was lost')))
    })
    this.#lost.catch(() => {}) // whoever waits is told
    client.on('message', (topic, payload, packet) => {
      for (const hear of [...this.#ears]) hear(topic, payload, packet.properties?.correlationData)
    })
  }

  /** Throws with the reason why the broker cannot be reached. */
  static async open(broker: BrokerSettings): Promise<Owner> {
    const { notAfter: _, ...credentials } = await readCredentials(broker)
    const client = mqtt.connect(broker.url, { ...credentials, protocolVersion: 5, clean: true, reconnectPeriod: 0, connectTimeout: CONNECT_MS })
    await new Promise<void>((resolve, reject) => {
      client.once('connect', () => resolve())
      client.once('error', error => reject(connectError(error)))
      client.once('close', () => reject(connectError(new Error('the connection was closed'))))
    })
    return new Owner(client)
  }

  /** All that is retained under these filters. Throws `offline`, as all below do, when the broker goes away meanwhile. */
  async retained(filters: readonly string[]): Promise<Map<string, Buffer>> {
    const found = new Map<string, Buffer>()
    let last = performance.now()
    const hear = (topic: string, payload: Buffer): void => {
      found.set(topic, payload)
      last = performance.now()
    }
    this.#ears.add(hear)
    await this.#unlessLost(this.#client.subscribeAsync([...filters], { qos: 1 }))
    last = performance.now()
    for (let left = QUIET_MS; left > 0; left = QUIET_MS - (performance.now() - last)) {
      await new Promise(resolve => setTimeout(resolve, left))
      await new Promise(resolve => setImmediate(resolve)) // on a busy machine: what came while we were not running has come, too
    }
    this.#ears.delete(hear)
    await this.#unlessLost(this.#client.unsubscribeAsync([...filters]))
    return found
  }

  /** Calls back for each message until the signal aborts. Throws `offline` when the broker goes away before. */
  async watch(filters: readonly string[], hear: (topic: string, payload: Buffer) => void, signal: AbortSignal): Promise<void> {
    this.#ears.add(hear)
    try {
      await this.#unlessLost(this.#client.subscribeAsync([...filters], { qos: 0 }))
      await this.#unlessLost(aborted(signal))
    } finally {
      this.#ears.delete(hear)
    }
  }

  /** Asks a device and waits for its answer. Throws `no-answer` after `limitMs`; the request is forgotten by the broker then too. `traceparent`: W3C, goes with it. */
  async ask(site: string, device: string, command: string, args: object, limitMs: number, traceparent: string): Promise<Answer> {
    const topics = topicsOf(site, device)
    const responseTopic = `${topics.reply}/${this.#id}`
    const correlationData = randomBytes(8)
    let hear: Ear = () => {}
    let timer: NodeJS.Timeout | undefined
    try {
      await this.#unlessLost(this.#client.subscribeAsync(responseTopic, { qos: 1 }))
      const answer = new Promise<Answer>((resolve, reject) => {
        hear = (topic, payload, correlation) => {
          if (topic === responseTopic && correlation?.equals(correlationData)) resolve(JSON.parse(payload.toString('utf8')) as Answer)
        }
        timer = setTimeout(() => reject(new ParleyError('no-answer', `${device} has not answered in ${limitMs / 1_000} s`, { hint: 'Is it online? See: parley fleet list' })), limitMs)
      })
      this.#ears.add(hear)
      const messageExpiryInterval = Math.ceil(limitMs / 1_000)
      const properties = { responseTopic, correlationData, messageExpiryInterval, userProperties: { [TRACE_PROPERTY]: traceparent } }
      const sent = this.#client.publishAsync(`${topics.command}/${command}`, JSON.stringify(args), { qos: 1, properties })
      const [given] = await this.#unlessLost(Promise.all([answer, sent]))
      return given
    } finally {
      clearTimeout(timer)
      this.#ears.delete(hear)
    }
  }

  async publish(topic: string, value: unknown, retain: boolean, traceparent?: string): Promise<void> {
    const properties = traceparent === undefined ? {} : { properties: { userProperties: { [TRACE_PROPERTY]: traceparent } } }
    await this.#unlessLost(this.#client.publishAsync(topic, JSON.stringify(value), { qos: 1, retain, ...properties }))
  }

  #unlessLost<T>(work: Promise<T>): Promise<T> {
    return Promise.race([work, this.#lost])
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#client.endAsync(this.#isLost) // with what is on its way still open, a polite end would never come
  }
}

export const everyDevice = (site: string, leaf: string): string => `${PREFIX}/${site}/+/${leaf}`
