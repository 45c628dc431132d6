import type { Permit } from '../update/permit.js'
import type { Hawkbit } from './hawkbit.js'

/**
 * The server's action as a permission. Nothing is remembered here: an action stays at the server until it is closed. `rest`: after so
 * many ms the server is to be asked again; 0 while there is an action, of which it is told with each run.
 */
export async function hawkbitPermit(hawkbit: Hawkbit, attributes: Readonly<Record<string, string>>, rest: (ms: number) => Promise<void>, signal: AbortSignal): Promise<Permit> {
  const { action, cancelled, sleepMs } = await hawkbit.poll(signal, attributes)
  await rest(action !== undefined || cancelled !== undefined ? 0 : sleepMs)
  if (cancelled !== undefined) {
    // What is on trial cannot be taken back, and the server is told so.
    return { check: false, withdrawn: true, told: ({ fate }, signal) => hawkbit.cancelled(cancelled, fate.is !== 'under-way' || fate.state === 'idle', signal) }
  }
  if (!action) return { check: false, withdrawn: true }
  const { id, version, source, mayInstall } = action
  return {
    check: true,
    source,
    ...(mayInstall ? {} : { hold: 'the server\'s permission to install' }),
    told: async ({ fate, waiting, refused }, signal) => {
      if (fate.is === 'succeeded') return hawkbit.feedback(id, 'closed', 'success', [`runs ${version}`], signal)
      if (fate.is === 'failed') return hawkbit.feedback(id, 'closed', 'failure', [fate.reason], signal)
      if (refused !== undefined) return hawkbit.feedback(id, 'closed', 'failure', [refused], signal)
      return hawkbit.feedback(id, 'proceeding', 'none', [waiting === undefined ? fate.state : `${fate.state}: waiting for ${waiting}`], signal)
    },
  }
}
