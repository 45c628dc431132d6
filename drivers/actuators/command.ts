import { spawn } from 'node:child_process'
import { z } from 'zod'
import type { Host } from '../contract.js'
import { ParleyError, describe } from '../../base/errors.js'
import { GuardedActuator, type Effector } from './guarded-actuator.js'
import { fill, isHalfPlaceholder } from './placeholders.js'
import { killGroup, runArgv } from './run-argv.js'

const argv = z
  .array(z.string())
  .min(1)
  .refine(a => !a.some(isHalfPlaceholder), 'expected a placeholder to be a whole argument, such as "{place}"')
  .refine(a => !/^\{/.test(a[0] ?? ''), 'expected the program itself to be fixed, not a placeholder')

export const schema = z.strictObject({
  driver: z.literal('command'),
  name: z.string().min(1).default('actuator'),
  /** Call name → program and arguments; an argument that is exactly `{name}` takes the call's value. No shell. */
  calls: z.record(z.string(), argv),
  /** What stops everything; it is started in the same instant, whatever else runs. */
  stop: argv.optional(),
  timeoutMs: z.number().int().min(10).max(600_000).default(10_000),
})
export type Config = z.infer<typeof schema>

/** A stop that hangs is of no use; its process is not kept longer. */
const STOP_LIMIT_MS = 5_000

export async function open(config: Config, host: Host): Promise<GuardedActuator> {
  const effector: Effector = {
    act: async (call, signal) => {
      const template = Object.hasOwn(config.calls, call.name) ? config.calls[call.name] : undefined
      if (!template) throw new ParleyError('unknown-call', `actuator ${config.name} has no command for ${call.name} (known: ${Object.keys(config.calls).join(', ') || 'none'})`)
      await runArgv(fill(template, call), { timeoutMs: config.timeoutMs, signal })
    },
    stop: () => {
      const [program, ...args] = config.stop ?? []
      if (program === undefined) return
      // spawn() returns after the fork: the program runs even if our event loop never turns again.
      const child = spawn(program, args, { stdio: 'ignore', detached: true })
      const timer = setTimeout(() => killGroup(child), STOP_LIMIT_MS).unref()
      child.on('error', error => host.log.error({ driver: config.name, reason: describe(error) }, 'the stop command could not be started'))
      child.on('exit', code => {
        clearTimeout(timer)
        if (code !== 0) host.log.error({ driver: config.name, code }, 'the stop command failed')
      })
      child.unref()
    },
  }
  return new GuardedActuator(config.name, config.timeoutMs + 1_000, effector, host)
}
