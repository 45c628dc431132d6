import { matches, type Message, type PublishOptions } from '../../runtime/telemetry/link/link.js'

/** A link without a broker, so that a test's clock is the only one: what is delivered is heard at once. */
export class Wire {
  readonly published: { readonly topic: string; readonly body: any; readonly options: PublishOptions }[] = []
  readonly #ears: { readonly filter: string; readonly hear: (message: Message) => void }[] = []

  async publish(topic: string, payload: string | Buffer, options: PublishOptions): Promise<void> {
    this.published.push({ topic, body: JSON.parse(String(payload)), options })
  }

  subscribe(filter: string, _qos: 0 | 1, hear: (message: Message) => void): void {
    this.#ears.push({ filter, hear })
  }

  onConnect(): void {} // it was never away

  deliver(topic: string, body: unknown, receivedAt: number, more: Partial<Message> = {}): void {
    const message: Message = { topic, payload: Buffer.from(JSON.stringify(body)), retain: false, receivedAt, userProperties: {}, ...more }
    for (const { filter, hear } of this.#ears) if (matches(filter, topic)) hear(message)
  }
}
