import { ParleyError } from './errors.js'

/** Waits for `work`, at most `ms`; then rejects with `what` in the message. Never leaves its timer behind. */
export async function withTimeout<T>(work: Promise<T>, ms: number, what: string): Promise<T> {
  let timer: NodeJS.Timeout | undefined
  const late = new Promise<never>((_, reject) => {
    timer = setTimeout(() => reject(new ParleyError('timeout', `${what} took longer than ${ms} ms`)), ms)
  })
  try {
    return await Promise.race([work, late])
  } finally {
    clearTimeout(timer)
  }
}

/** Resolves when `signal` is aborted. */
export function aborted(signal: AbortSignal): Promise<void> {
  return new Promise(resolve => {
    if (signal.aborted) resolve()
    else signal.addEventListener('abort', () => resolve(), { once: true })
  })
}

/** An abort controller that also aborts with its parent, and forgets the parent when disposed. */
export function childAbort(parent?: AbortSignal): AbortController {
  const child = new AbortController()
  if (parent?.aborted) child.abort(parent.reason)
  parent?.addEventListener('abort', () => child.abort(parent.reason), { once: true, signal: child.signal })
  return child
}
