import { randomBytes } from 'node:crypto'
import type { MqttClient } from 'mqtt'
import { childAbort, withTimeout } from '../../../base/abort.js'
import type { BrokerSettings } from '../settings.js'
import type { Topics } from '../topics.js'
import { attempt } from './attempt.js'

/** Retained messages come with the answer to the subscription; where there are none this is how long we wait for nothing. */
const ANSWER_MS = 1_000

/**
 * How two processes of one device stop kicking each other, also at a broker that gives no reason for the kick (Mosquitto 2.0.11):
 * each writes its instance to a retained topic. Who comes back and finds another's there, which is online, was replaced: it leaves
 * again, and asks under another client id, which kicks nobody, until the other is gone.
 */

/** Asked over our own connection, before we write our instance. */
export async function rivalHere(client: MqttClient, topics: Topics, instance: string): Promise<boolean> {
  const heard = new Map<string, string>()
  let complete = (): void => {}
  const both = new Promise<void>(resolve => { complete = resolve })
  const hear = (topic: string, payload: Buffer): void => {
    if (topic !== topics.availability && topic !== topics.instance) return
    heard.set(topic, payload.toString('utf8'))
    if (heard.size === 2) complete()
  }
  client.on('message', hear)
  try {
    await withTimeout(client.subscribeAsync([topics.availability, topics.instance], { qos: 1 }).then(() => both), ANSWER_MS, 'the broker\'s answer')
    await client.unsubscribeAsync([topics.availability, topics.instance])
  } catch {
    // Nothing is retained there, so nobody is; or the connection is lost, and its owner will see that.
  } finally {
    client.off('message', hear)
  }
  const who = heard.get(topics.instance)
  return heard.get(topics.availability) === 'online' && who !== undefined && who !== instance
}

/** Asked under another client id. Throws what `attempt` throws. */
export async function rivalOnline(broker: BrokerSettings, topics: Topics, instance: string, parent: AbortSignal): Promise<boolean> {
  const limit = childAbort(parent)
  const clientId = `${topics.root.split('/').slice(2).join('.')}.probe.${randomBytes(4).toString('hex')}`
  const { client } = await attempt(broker, { clientId, clean: true }, limit.signal)
  try {
    return await rivalHere(client, topics, instance)
  } finally {
    client.end(true)
    limit.abort()
  }
}
