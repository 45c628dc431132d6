import { ParleyError, systemCode } from '../../base/errors.js'
import { aborted } from '../../base/abort.js'
import type { JobKind } from '../shadow/jobs.js'
import type { BundleChoice } from './bundle-choice.js'

/**
 * The job `bundle-use` with the argument `name`. It lives through the restart that it brings about, and has succeeded once the
 * device runs that bundle; it has failed if the device took its own again.
 */
export function bundleJob(bundles: BundleChoice, restart: (reason: string) => void): JobKind {
  const nameOf = (args: Readonly<Record<string, unknown>>): string => String(args['name'] ?? '')
  return {
    disturbs: true,
    interrupted: args => bundles.outcome(nameOf(args)),
    run: async (args, signal) => {
      const name = nameOf(args)
      const before = await bundles.chosen()
      await bundles.use(name)
      if (bundles.running === name) return
      restart(`the bundle ${name}`)
      await aborted(signal)
      // The end of the process is what it waits for. Taken back, or late, it must leave no choice for the next start.
      if (systemCode(signal.reason) !== 'closed') await bundles.putBack(before)
      throw signal.reason instanceof Error ? signal.reason : new ParleyError('over', 'the job is over')
    },
  }
}
