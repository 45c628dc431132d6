import { ParleyError } from '../../base/errors.js'
import type { OmniSession, Said, Tick } from '../session.js'
import type { TickHost } from './tick-host.js'
import type { Telling } from './text-channel.js'

/** The same TickHost without a child: for the evaluation and the bench. A crash of the model is a crash of the process. */
export class InProcessSession implements OmniSession {
  readonly name: string
  readonly provider: string
  readonly inputRate: number
  readonly outputRate: number
  readonly tickSamples: number
  readonly respawns = 0
  readonly host: TickHost
  #last: Promise<unknown> = Promise.resolve()
  #closed = false

  constructor(host: TickHost) {
    this.host = host
    this.name = host.spec.name
    this.provider = host.provider
    this.inputRate = host.spec.inputRate
    this.outputRate = host.spec.outputRate
    this.tickSamples = host.spec.tickSamples
  }

  step(tick: Tick, signal?: AbortSignal): Promise<Said> {
    return this.#next(() => {
      signal?.throwIfAborted()
      return this.host.step(tick)
    })
  }

  setFacts(facts: readonly string[], passing: readonly string[] = []): Promise<void> {
    return this.#next(() => this.host.setFacts(facts, passing))
  }

  tell(line: string, kind: Telling = 'event'): void {
    this.host.tell(line, kind)
  }

  reset(): Promise<void> {
    return this.#next(async () => this.host.reset())
  }

  async [Symbol.asyncDispose](): Promise<void> {
    if (this.#closed) return
    this.#closed = true
    await this.#last
    await this.host.close()
  }

  /** One after another, in the order of the calls. */
  async #next<T>(work: () => Promise<T>): Promise<T> {
    if (this.#closed) throw new ParleyError('engine-closed', 'the model was closed')
    const mine = this.#last.then(work)
    this.#last = mine.catch(() => {}) // its caller is told; the next call goes on
    return await mine
  }
}
