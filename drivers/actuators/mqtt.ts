import { z } from 'zod'
import type { Host } from '../contract.js'
import { ParleyError, describe } from '../../base/errors.js'
import { GuardedActuator, type Effector } from './guarded-actuator.js'

export interface PublishOptions {
  readonly qos: 0 | 1 | 2
  /** Seconds after which the broker forgets an undelivered message: a stale "go" must die. */
  readonly expiryS: number
}

/** Puts one message on the way, in the same call, not later; resolves once the broker has it (QoS 1 and 2). */
export type Publish = (topic: string, payload: string, options: PublishOptions) => Promise<void>

/** A host with an MQTT connection; its owner is the runtime, this driver opens none. */
export interface PublishingHost extends Host {
  readonly publish?: Publish
}

const topic = z.string().regex(/^[^+#\0]{1,200}$/, 'a topic without + and #')

export const schema = z.strictObject({
  driver: z.literal('mqtt'),
  name: z.string().min(1).default('actuator'),
  topic,
  /** Default: `<topic>/stop`. */
  stopTopic: topic.optional(),
  qos: z.union([z.literal(0), z.literal(1), z.literal(2)]).default(1),
  expiryS: z.number().int().min(1).max(3_600).default(10),
  timeoutMs: z.number().int().min(10).max(60_000).default(5_000),
})
export type Config = z.infer<typeof schema>

/** Publishes each call as `{ name, args, at }` (`at` in Unix ms) and a stop as `{ name: "stop", at }`. Throws `no-mqtt` without a connection. */
export async function open(config: Config, host: PublishingHost): Promise<GuardedActuator> {
  const { publish, clock, log } = host
  if (!publish) throw new ParleyError('no-mqtt', `actuator ${config.name} wants MQTT, but no broker is configured`, { hint: 'Add an [mqtt] section, or use driver = "log"' })
  const stopTopic = config.stopTopic ?? `${config.topic}/stop`
  const effector: Effector = {
    act: call => publish(config.topic, JSON.stringify({ name: call.name, args: call.args, at: clock.wall() }), config),
    stop: () => {
      publish(stopTopic, JSON.stringify({ name: 'stop', at: clock.wall() }), config).catch((error: unknown) =>
        log.error({ driver: config.name, reason: describe(error) }, 'stop was not published'),
      )
    },
  }
  return new GuardedActuator(config.name, config.timeoutMs, effector, host)
}
