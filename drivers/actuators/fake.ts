import { z } from 'zod'
import type { Host } from '../contract.js'
import { ParleyError } from '../../base/errors.js'
import type { ToolCall } from '../../base/frames.js'
import { GuardedActuator, type Effector } from './guarded-actuator.js'

export const schema = z.strictObject({
  driver: z.literal('fake'),
  name: z.string().min(1).default('actuator'),
  takesMs: z.number().min(0).default(0),
  timeoutMs: z.number().int().min(10).default(10_000),
  /** Names of calls that never end, that fail, and whether the stop itself throws. */
  hangs: z.array(z.string()).default([]),
  fails: z.array(z.string()).default([]),
  stopThrows: z.boolean().default(false),
})
export type Config = z.infer<typeof schema>

/** Remembers what it was told to do. */
export class FakeActuator extends GuardedActuator {
  readonly done: ToolCall[] = []
  /** Monotonic ms of each stop. */
  readonly stoppedAt: number[] = []

  constructor(config: Config, host: Host) {
    const effector: Effector = {
      act: async (call, signal) => {
        if (config.hangs.includes(call.name)) await new Promise(() => {}) // deaf to its signal, too
        if (config.fails.includes(call.name)) throw new ParleyError('failed', `${call.name} failed, as the script says`)
        await host.clock.sleep(config.takesMs, signal)
        this.done.push(call)
      },
      stop: () => {
        this.stoppedAt.push(host.clock.now())
        if (config.stopThrows) throw new ParleyError('failed', 'the stop failed, as the script says')
      },
    }
    super(config.name, config.timeoutMs, effector, host)
  }
}

export async function open(config: Config, host: Host): Promise<FakeActuator> {
  return new FakeActuator(config, host)
}
