import { z } from 'zod'
import type { Host } from '../contract.js'
import { describe } from '../../base/errors.js'
import type { ToolCall } from '../../base/frames.js'
import { ActFile } from './act-file.js'
import { GuardedActuator, type Effector } from './guarded-actuator.js'

export const schema = z.strictObject({
  driver: z.literal('log'),
  name: z.string().min(1).default('actuator'),
  /** A file to which each call is appended too, as a line of JSON, for another program or an inspection. */
  path: z.string().min(1).optional(),
  /** A file of this size becomes `PATH.1`, in place of an older one, bytes. */
  mostBytes: z.number().int().min(1_024).max(1_073_741_824).default(1_048_576),
})
export type Config = z.infer<typeof schema>

/** An SD card that is worn flushes in some 100 ms; a write that takes this long has failed, ms. */
const LIMIT_MS = 1_000

/**
 * Only writes down what would be done: the default, for a machine on which nothing moves. In its file a call is
 * `{ name, args, at }` (`at` in Unix ms) and a stop `{ name: "stop", at }`, as over MQTT. Throws `bad-config` where the file cannot be opened.
 */
export async function open(config: Config, host: Host): Promise<GuardedActuator> {
  const { clock } = host
  const log = host.log.child({ driver: config.name })
  const file = config.path === undefined ? undefined : new ActFile(config.path, config.mostBytes).open()
  const effector: Effector = {
    act: async ({ name, args }: ToolCall) => {
      log.info({ call: name, args }, 'act')
      await file?.append({ name, args, at: clock.wall() })
    },
    stop: () => {
      log.warn('stop')
      file?.append({ name: 'stop', at: clock.wall() }).catch((error: unknown) => log.error({ reason: describe(error) }, 'the stop was not written'))
    },
    close: async () => file?.close(),
  }
  return new GuardedActuator(config.name, LIMIT_MS, effector, host)
}
