import type { OmniSession, Said, Tick } from '../session.js'
import type { TimedBackend } from './timed-backend.js'

/** What the steps took. */
export interface StepTimes {
  /** Ms of each step. */
  readonly steps: readonly number[]
  /** Of all steps together, ms: in the graph. */
  readonly graphMs: number
}

/** A session that keeps the times of its steps. */
export class TimedSession implements OmniSession, StepTimes {
  readonly steps: number[] = []
  graphMs = 0
  readonly #inner: OmniSession
  readonly #backend: TimedBackend

  constructor(inner: OmniSession, backend: TimedBackend) {
    this.#inner = inner
    this.#backend = backend
  }

  get name(): string { return this.#inner.name }
  get provider(): string { return this.#inner.provider }
  get inputRate(): number { return this.#inner.inputRate }
  get outputRate(): number { return this.#inner.outputRate }
  get tickSamples(): number { return this.#inner.tickSamples }
  get respawns(): number { return this.#inner.respawns }

  async step(tick: Tick, signal?: AbortSignal): Promise<Said> {
    const said = await this.#inner.step(tick, signal)
    this.steps.push(said.stepMs)
    this.graphMs += this.#backend.lastMs
    return said
  }

  setFacts(facts: readonly string[], passing?: readonly string[]): Promise<void> { return this.#inner.setFacts(facts, passing) }
  tell(line: string, kind?: 'event' | 'typed'): void { this.#inner.tell(line, kind) }
  reset(): Promise<void> { return this.#inner.reset() }
  async [Symbol.asyncDispose](): Promise<void> { await this.#inner[Symbol.asyncDispose]() }
}
