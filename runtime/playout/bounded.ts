import type { Clock } from '../../base/clock.js'

export type Outcome = { readonly kind: 'done' | 'late' | 'aborted' } | { readonly kind: 'failed'; readonly error: unknown }

/** Waits for `work` at most `ms` and at most until `signal` aborts. Never throws, and leaves no timer and no listener behind. */
export async function bounded(work: Promise<unknown>, ms: number, clock: Clock, signal: AbortSignal): Promise<Outcome> {
  if (signal.aborted) {
    work.catch(() => {}) // nobody waits for it any more
    return { kind: 'aborted' }
  }
  const over = new AbortController()
  const done = work.then((): Outcome => ({ kind: 'done' }), (error: unknown): Outcome => ({ kind: 'failed', error }))
  const late = clock.sleep(ms, over.signal).then((): Outcome => ({ kind: 'late' }), (): Outcome => ({ kind: 'aborted' }))
  const aborted = new Promise<Outcome>(resolve => {
    signal.addEventListener('abort', () => resolve({ kind: 'aborted' }), { once: true, signal: over.signal })
  })
  const outcome = await Promise.race([done, aborted, late])
  over.abort()
  return outcome
}
