import { z } from 'zod'
import type { Host } from '../contract.js'
import { ParleyError, describe } from '../../base/errors.js'
import { GuardedActuator, type Effector } from './guarded-actuator.js'

export interface PublishOptions {
  readonly qos: 0 | 1 | 2
  /** Seconds after which the broker forgets an undelivered message: a stale "go" must die. */
  readonly expiryS: number
  /** For a stop only: one that the broker did not get is sent again for so long, before anything else, ms. */
  readonly keepMs?: number
  /** What is aborted before the broker has it all is not passed on (QoS 2). */
  readonly signal?: AbortSignal
}

/** Puts one message on the way, in the same call, not later; resolves once the broker has it (QoS 1 and 2). */
export type Publish = (topic: string, payload: string, options: PublishOptions) => Promise<void>

/** A host with an MQTT connection; its owner is the runtime, this driver opens none. */
export interface PublishingHost extends Host {
  readonly publish?: Publish
}

/** Later, whoever pressed the button has seen that nothing stopped, and has done something else. */
const STOP_KEEP_MS = 5_000

const topic = z.string().regex(/^[^+#\0]{1,200}$/, 'a topic without + and #')

export const schema = z.strictObject({
  driver: z.literal('mqtt'),
  name: z.string().min(1).default('actuator'),
  topic,
  /** Default: `<topic>/stop`. */
  stopTopic: topic.optional(),
  /** 2: what was stopped or took too long is not passed on by the broker, also over a link that hangs. A stop goes with 1. */
  qos: z.union([z.literal(0), z.literal(1), z.literal(2)]).default(2),
  expiryS: z.number().int().min(1).max(3_600).default(10),
  timeoutMs: z.number().int().min(10).max(60_000).default(5_000),
})
export type Config = z.infer<typeof schema>

/**
 * Publishes each call as `{ name, args, at }` (`at` in Unix ms) and a stop as `{ name: "stop", at }`. A call that cannot be sent
 * now is refused; a stop is tried for 5 s. Throws `no-mqtt` where no broker is configured.
 */
export async function open(config: Config, host: PublishingHost): Promise<GuardedActuator> {
  const { publish, clock, log } = host
  if (!publish) throw new ParleyError('no-mqtt', `actuator ${config.name} wants MQTT, but no broker is configured`, { hint: 'Add an [mqtt] section, or use driver = "log"' })
  const stopTopic = config.stopTopic ?? `${config.topic}/stop`
  const { qos, expiryS } = config
  const effector: Effector = {
    act: (call, signal) => publish(config.topic, JSON.stringify({ name: call.name, args: call.args, at: clock.wall() }), { qos, expiryS, signal }),
    stop: () => {
      publish(stopTopic, JSON.stringify({ name: 'stop', at: clock.wall() }), { qos: 1, expiryS, keepMs: STOP_KEEP_MS }).catch((error: unknown) =>
        log.error({ driver: config.name, reason: describe(error) }, 'stop was not published'),
      )
    },
  }
  return new GuardedActuator(config.name, config.timeoutMs, effector, host)
}
