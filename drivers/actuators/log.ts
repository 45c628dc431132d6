import { z } from 'zod'
import type { Host } from '../contract.js'
import { GuardedActuator } from './guarded-actuator.js'

export const schema = z.strictObject({
  driver: z.literal('log'),
  name: z.string().min(1).default('actuator'),
})
export type Config = z.infer<typeof schema>

/** Only writes down what would be done: the default, for a machine on which nothing moves. */
export async function open(config: Config, host: Host): Promise<GuardedActuator> {
  const log = host.log.child({ driver: config.name })
  const effector = {
    act: async (call: { name: string; args: Readonly<Record<string, string | number>> }) => log.info({ call: call.name, args: call.args }, 'act'),
    stop: () => log.warn('stop'),
  }
  return new GuardedActuator(config.name, 1_000, effector, host)
}
