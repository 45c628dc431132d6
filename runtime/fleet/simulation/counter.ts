import mqtt, { type MqttClient } from 'mqtt'

/** A subscriber that counts all that the devices say, over restarts of the broker. */
export class Counter {
  messages = 0
  bytes = 0
  /** Of each turn, however often it came. */
  readonly turns = new Set<string>()
  /** Of live turns, ms from the end of the turn; the devices' clock is ours. */
  readonly latencies: number[] = []
  readonly #client: MqttClient

  constructor(url: string) {
    const client = this.#client = mqtt.connect(url, { protocolVersion: 5, clientId: 'counter', clean: false, reconnectPeriod: 100, properties: { sessionExpiryInterval: 600, receiveMaximum: 1_000 } })
    client.on('error', () => {}) // it comes back by itself
    client.on('connect', () => { client.subscribe('parley/v1/#', { qos: 1 }) })
    client.on('message', (topic, payload) => this.#count(topic, payload))
  }

  close(): void {
    this.#client.end(true)
  }

  #count(topic: string, payload: Buffer): void {
    this.messages++
    this.bytes += payload.length + topic.length
    const live = topic.endsWith('/turn')
    if (!live && !topic.endsWith('/backfill')) return
    const { id, kind, at } = JSON.parse(payload.toString('utf8')) as { id?: string; kind?: string; at?: number }
    if (id && (kind ?? 'turn') === 'turn') this.turns.add(`${topic.split('/')[3]} ${id}`)
    if (live && at !== undefined) this.latencies.push(Date.now() - at)
  }
}
