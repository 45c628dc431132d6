import mqtt, { type IClientOptions, type IConnackPacket, type IPublishPacket, type MqttClient } from 'mqtt'
import type { BrokerSettings } from '../settings.js'
import { connectError, readCredentials } from './credentials.js'

/** A broker that is there answers in well under a second, over a bad mobile link in a few. */
const CONNECT_MS = 10_000
const KEEPALIVE_S = 30
/** Commands that are sent while we are away for a moment still reach us; their own expiry is shorter mostly. */
const SESSION_S = 3_600
/** Bytes. The broker does not send us more in one packet; the largest desired state is 64 kB. */
export const MAX_PACKET = 256 * 1024
/** Messages of QoS 1 that the broker may send before we have answered. */
const RECEIVE_MAXIMUM = 16
/** Seconds: a connection that is back by then was never gone for those who watch. */
const WILL_DELAY_S = 10

export interface Will {
  readonly topic: string
  readonly payload: string | Buffer
  readonly qos: 0 | 1
  readonly retain: boolean
  readonly delayed: boolean
}

export interface AttemptOptions {
  readonly clientId: string
  /** True: the broker forgets the session at the end (probes, Sparkplug). */
  readonly clean: boolean
  readonly will?: Will
  /** Given here, because the first messages of a kept session come in the same packet as the answer to the connect. */
  readonly onMessage?: (topic: string, payload: Buffer, packet: IPublishPacket) => void
}

export interface Opened {
  readonly client: MqttClient
  /** Why the broker ended it (MQTT 5 reason code), once it has said so. */
  readonly reason: () => number | undefined
  /** Messages that may be on their way at once, as the broker said. */
  readonly receiveMaximum: number
  readonly notAfter: number | undefined
}

/** One try to connect; the client never tries again by itself. Throws `connectError`'s codes or those of `readCredentials`. */
export async function attempt(broker: BrokerSettings, options: AttemptOptions, signal: AbortSignal): Promise<Opened> {
  const { notAfter, ...credentials } = await readCredentials(broker)
  const { clientId, clean, will } = options
  const settings: IClientOptions = {
    ...credentials, clientId, clean, protocolVersion: 5, keepalive: KEEPALIVE_S, connectTimeout: CONNECT_MS,
    reconnectPeriod: 0, resubscribe: false, queueQoSZero: false, rejectUnauthorized: true,
    properties: { receiveMaximum: RECEIVE_MAXIMUM, maximumPacketSize: MAX_PACKET, ...(clean ? {} : { sessionExpiryInterval: SESSION_S }) },
    ...(will ? { will: {
      topic: will.topic, payload: Buffer.from(will.payload), qos: will.qos, retain: will.retain,
      ...(will.delayed ? { properties: { willDelayInterval: WILL_DELAY_S } } : {}),
    } } : {}),
  }
  const client = mqtt.connect(broker.url, settings)
  let reason: number | undefined
  client.on('disconnect', packet => { reason = packet.reasonCode })
  if (options.onMessage) client.on('message', options.onMessage)
  return new Promise((resolve, reject) => {
    // Ours alone are taken off again: with the client's own listeners gone, its timers would outlive it.
    const settle = (): void => {
      signal.removeEventListener('abort', onAbort)
      client.off('connect', onConnect).off('close', onClose)
    }
    const giveUp = (error: unknown): void => {
      settle()
      client.end(true)
      reject(error instanceof Error && signal.aborted ? error : connectError(error))
    }
    let last: unknown
    const onAbort = (): void => giveUp(signal.reason)
    const onClose = (): void => giveUp(last ?? new Error('the connection was closed'))
    const onConnect = (packet: IConnackPacket): void => {
      settle()
      resolve({ client, reason: () => reason, receiveMaximum: packet.properties?.receiveMaximum ?? 65_535, notAfter })
    }
    client.on('error', error => { last = error }) // for good: later `close` follows each, with which the owner deals
    client.on('close', onClose).on('connect', onConnect)
    if (signal.aborted) giveUp(signal.reason)
    else signal.addEventListener('abort', onAbort, { once: true })
  })
}
