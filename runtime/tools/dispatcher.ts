import type { Clock } from '../../base/clock.js'
import { ParleyError, describe } from '../../base/errors.js'
import type { ToolCall } from '../../base/frames.js'
import type { Actuator } from '../../drivers/contract.js'
import { bounded } from '../playout/bounded.js'
import type { ToolSettings } from './settings.js'

/** Of a call whose actuator threw something without a code. */
export const FAILED_CALL = 'tool-failed'

export interface ToolOutcome {
  readonly name: string
  readonly args: ToolCall['args']
  readonly ok: boolean
  /** From the call to its end. */
  readonly ms: number
  readonly error?: string
  readonly code?: string
}

export type BuiltIn = (call: ToolCall) => void

/** Carries out the model's calls: built-in ones here, the others by the actuator. Never throws, and always ends in time. */
export class Dispatcher {
  readonly #actuator: Actuator
  readonly #clock: Clock
  readonly #settings: ToolSettings
  readonly #builtIns = new Map<string, BuiltIn>()
  readonly #closing = new AbortController()
  #running = 0

  constructor(actuator: Actuator, clock: Clock, settings: ToolSettings) {
    this.#actuator = actuator
    this.#clock = clock
    this.#settings = settings
    // A stop must not wait for a running act, as any other call does.
    this.#builtIns.set('stop', () => actuator.stop())
  }

  get running(): number {
    return this.#running
  }

  add(name: string, act: BuiltIn): void {
    this.#builtIns.set(name, act)
  }

  async dispatch(call: ToolCall): Promise<ToolOutcome> {
    const startedAt = this.#clock.now()
    this.#running++
    try {
      await this.#act(call)
      return { name: call.name, args: call.args, ok: true, ms: this.#clock.now() - startedAt }
    } catch (error) {
      const code = error instanceof ParleyError ? error.code : FAILED_CALL
      return { name: call.name, args: call.args, ok: false, ms: this.#clock.now() - startedAt, error: describe(error), code }
    } finally {
      this.#running--
    }
  }

  async #act(call: ToolCall): Promise<void> {
    if (!this.#settings.allow.includes(call.name)) {
      throw new ParleyError('unknown-tool', `the model called ${call.name}, which is not allowed here`, { hint: 'Add it to `allow` in [tools] if it should be.' })
    }
    const builtIn = this.#builtIns.get(call.name)
    if (builtIn) return builtIn(call)
    const giveUp = new AbortController()
    const stop = (): void => giveUp.abort(new ParleyError('closed', 'the runtime is closing'))
    this.#closing.signal.addEventListener('abort', stop, { once: true })
    try {
      const outcome = await bounded(this.#actuate(call, giveUp.signal), this.#settings.limitMs, this.#clock, this.#closing.signal)
      if (outcome.kind === 'failed') throw outcome.error
      if (outcome.kind === 'aborted') throw new ParleyError('closed', `${call.name} was broken off: the runtime is closing`)
      if (outcome.kind === 'late') throw new ParleyError('timeout', `${call.name} took longer than ${this.#settings.limitMs} ms`)
    } finally {
      this.#closing.signal.removeEventListener('abort', stop)
      giveUp.abort(new ParleyError('over', 'the call is over'))
    }
  }

  async #actuate(call: ToolCall, signal: AbortSignal): Promise<void> {
    await this.#actuator.act(call, signal)
  }

  /** Breaks off what is running. */
  close(): void {
    this.#closing.abort()
  }
}
