import { readFile } from 'node:fs/promises'
import mqtt, { type MqttClient } from 'mqtt'
import { ParleyError, describe } from '../../base/errors.js'
import type { Logger } from '../../base/log.js'
import type { PublishOptions } from '../../drivers/actuators/mqtt.js'
import type { MqttSettings } from './settings.js'

/** Full jitter between these: a broker that comes back is not stormed. */
const BACKOFF_MS = { first: 1_000, most: 60_000 }
/** A broker takes a message of this size in ms; longer means that it does not take it. */
const PUBLISH_LIMIT_MS = 5_000
/** A goodbye is a courtesy, ms. */
const GOODBYE_MS = 300

/** Commands to a broker. What cannot be sent now is refused, never kept: a stale "go" must not be carried out later. */
export class MqttPublisher implements AsyncDisposable {
  readonly #client: MqttClient
  #wait = BACKOFF_MS.first

  private constructor(client: MqttClient, log: Logger) {
    this.#client = client
    client.on('connect', () => { this.#wait = BACKOFF_MS.first })
    client.on('close', () => {
      this.#wait = Math.min(this.#wait * 2, BACKOFF_MS.most)
      client.options.reconnectPeriod = Math.max(200, Math.random() * this.#wait)
    })
    client.on('error', error => log.warn({ reason: describe(error) }, 'mqtt'))
  }

  /** Begins to connect; does not wait for the broker: the conversation does not depend on it. */
  static async open(settings: MqttSettings, log: Logger): Promise<MqttPublisher> {
    const password = settings.passwordFile ? (await readFile(settings.passwordFile, 'utf8')).trim() : settings.password
    const client = mqtt.connect(settings.url, {
      protocolVersion: 5,
      queueQoSZero: false,
      reconnectPeriod: BACKOFF_MS.first,
      connectTimeout: 5_000,
      ...(settings.clientId ? { clientId: settings.clientId } : {}),
      ...(settings.username ? { username: settings.username } : {}),
      ...(password ? { password } : {}),
    })
    return new MqttPublisher(client, log)
  }

  readonly publish = async (topic: string, payload: string, options: PublishOptions): Promise<void> => {
    if (!this.#client.connected) throw new ParleyError('mqtt-offline', 'the broker is not connected; the message was not kept')
    let timer: NodeJS.Timeout | undefined
    const late = new Promise<never>((_, reject) => {
      timer = setTimeout(() => reject(new ParleyError('timeout', `the broker did not take the message in ${PUBLISH_LIMIT_MS} ms`)), PUBLISH_LIMIT_MS)
    })
    try {
      await Promise.race([late, this.#client.publishAsync(topic, payload, { qos: options.qos, properties: { messageExpiryInterval: options.expiryS } })])
    } finally {
      clearTimeout(timer)
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await Promise.race([this.#client.endAsync(), new Promise(resolve => setTimeout(resolve, GOODBYE_MS))])
    this.#client.end(true)
  }
}
