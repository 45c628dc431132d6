import type { Actuator, Health, Host } from '../contract.js'
import { childAbort, withTimeout } from '../../base/abort.js'
import { ParleyError, describe } from '../../base/errors.js'
import type { ToolCall } from '../../base/frames.js'

/** What really moves: one kind of actuator, without the guards. */
export interface Effector {
  /** Must end what it began when the signal aborts, synchronously where it can. */
  act(call: ToolCall, signal: AbortSignal): Promise<void>
  /** Synchronous up to the point where the outside world has it: the event loop may be busy. May throw. */
  stop(): void
  close?(): Promise<void>
}

/**
 * One act at a time, each with a limit; a second one meanwhile is refused (`busy`), not queued: a robot must not do later
 * what was asked before. `stop` kills the running act, then tells the effector; it never waits and never throws.
 */
export class GuardedActuator implements Actuator {
  readonly kind = 'actuator'
  readonly name: string
  readonly #limitMs: number
  readonly #effector: Effector
  readonly #host: Host
  readonly #closing: AbortController
  readonly #counters = { acts: 0, failures: 0, refused: 0, stops: 0, stopFailures: 0 }
  #running: AbortController | undefined
  #lastProgressAt: number
  #trouble: string | undefined
  #closed: Promise<void> | undefined

  constructor(name: string, limitMs: number, effector: Effector, host: Host) {
    this.name = name
    this.#limitMs = limitMs
    this.#effector = effector
    this.#host = host
    this.#closing = childAbort(host.signal)
    this.#closing.signal.addEventListener('abort', () => void this.#close().catch(() => {}), { once: true }) // whoever disposes it hears of it
    this.#lastProgressAt = host.clock.now()
  }

  async act(call: ToolCall, signal: AbortSignal): Promise<void> {
    signal.throwIfAborted()
    if (this.#closing.signal.aborted) throw new ParleyError('closed', `actuator ${this.name} is closed`)
    if (this.#running) {
      this.#counters.refused++
      throw new ParleyError('busy', `actuator ${this.name} is still busy; ${call.name} was refused`)
    }
    const running = (this.#running = childAbort(signal))
    const onClose = (): void => running.abort(new ParleyError('closed', `actuator ${this.name} was closed`))
    this.#closing.signal.addEventListener('abort', onClose, { once: true })
    this.#counters.acts++
    try {
      await withTimeout(this.#untilAborted(this.#effector.act(call, running.signal), running.signal), this.#limitMs, `${call.name} on ${this.name}`)
      this.#trouble = undefined
      this.#lastProgressAt = this.#host.clock.now()
    } catch (error) {
      this.#counters.failures++
      if (!signal.aborted && !this.#isOrdered(error)) this.#trouble = describe(error)
      throw error
    } finally {
      running.abort(new ParleyError('over', 'the act is over')) // frees the parent's listener; after a time-out it also ends the act
      this.#closing.signal.removeEventListener('abort', onClose)
      if (this.#running === running) this.#running = undefined
    }
  }

  stop(): void {
    this.#counters.stops++
    // First the running act: what it drives may be in the stop's way (an open serial port).
    this.#quietly(() => this.#running?.abort(new ParleyError('stopped', `actuator ${this.name} was stopped`)))
    this.#running = undefined
    this.#quietly(() => this.#effector.stop())
  }

  health(): Health {
    const base = { ok: this.#trouble === undefined, lastProgressAt: this.#lastProgressAt, counters: { ...this.#counters } }
    return this.#trouble === undefined ? base : { ...base, detail: this.#trouble }
  }

  [Symbol.asyncDispose](): Promise<void> {
    this.#closing.abort()
    return this.#close()
  }

  #close(): Promise<void> {
    return (this.#closed ??= this.#effector.close?.() ?? Promise.resolve())
  }

  #isOrdered(error: unknown): boolean {
    return error instanceof ParleyError && (error.code === 'stopped' || error.code === 'closed')
  }

  #quietly(work: () => void): void {
    try {
      work()
    } catch (error) {
      this.#counters.stopFailures++
      this.#trouble = `stop failed: ${describe(error)}`
      try {
        this.#host.log.error({ driver: this.name, reason: describe(error) }, 'stop failed')
      } catch {
        // a full disk under the log must not reach the one who stops
      }
    }
  }

  /** An effector that ignores its signal must not keep the caller. */
  #untilAborted(work: Promise<void>, signal: AbortSignal): Promise<void> {
    return new Promise((resolve, reject) => {
      signal.addEventListener('abort', () => reject(signal.reason), { once: true })
      work.then(resolve, reject)
    })
  }
}
