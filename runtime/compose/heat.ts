import { pause, type Clock } from '../../base/clock.js'
import { describe } from '../../base/errors.js'
import type { Logger } from '../../base/log.js'
import { budget, type Budget, type Thermal } from '../../deploy/jetson/power.js'
import type { Health } from '../../drivers/contract.js'

/** A chip warms by less than a degree in this time, ms. */
const LOOK_MS = 10_000
/** So long after steps that outgrew the budget less is done, ms: a camera that begins anew each minute would be worse than one that rests. */
const HOLD_MS = 5 * 60_000

export interface HeatParts {
  readonly clock: Clock
  readonly log: Logger
  read(): Promise<Thermal>
  /** Ms of a slow step of late (p95); undefined before the first. */
  stepMs(): number | undefined
  /** Begins or ends the work that can be done without. */
  rest(resting: boolean): void
}

/** For the log: what has changed, by what lowers it. */
const SAID = {
  nothing: 'all of the tick may be used',
  mode: 'the power mode leaves less of the tick',
  steps: 'steps take more than they may: the camera rests, the model dozes in silence',
  heat: 'warm: the camera rests',
  hot: 'hot: the camera rests, the model dozes in silence and a step may take less',
} as const

/**
 * Gives way to heat before the chip takes the work away by itself and breaks a word: first the camera rests, then the model dozes
 * while nobody speaks and less time is allowed for a step. The power mode sets what is allowed to begin with. Steps that need more
 * than is allowed make the device unwell while it still speaks well, and the camera and silence give way to them, too.
 */
export class HeatWatch {
  readonly name = 'heat'
  readonly #parts: HeatParts
  #thermal: Thermal = { temperature: undefined, throttleAt: undefined, throttled: false, powerMode: undefined }
  #budget: Budget = budget(this.#thermal)
  #lookedAt: number
  /** When steps last took more than they may. */
  #strainedAt = -Infinity

  constructor(parts: HeatParts) {
    this.#parts = parts
    this.#lookedAt = parts.clock.now()
  }

  get thermal(): Thermal {
    return this.#thermal
  }

  get budget(): Budget {
    return this.#budget
  }

  /** Well on a hot chip, too, as long as the steps fit. */
  health(): Health {
    const stepMs = this.#parts.stepMs() ?? 0
    const ok = stepMs <= this.#budget.stepMs
    const counters = { budgetMs: this.#budget.stepMs, throttled: Number(this.#thermal.throttled) }
    const why = [ok ? undefined : `a step takes ${Math.round(stepMs)} ms of the ${this.#budget.stepMs} that it may`, this.#budget.reason].filter(x => x !== undefined)
    return { ok, lastProgressAt: this.#lookedAt, counters, ...(why.length ? { detail: why.join('; ') } : {}) }
  }

  /** Until the signal. A sensor that cannot be read changes nothing. */
  async watch(signal: AbortSignal): Promise<void> {
    while (!signal.aborted) {
      try {
        this.#look(await this.#parts.read())
      } catch (error) {
        this.#parts.log.debug({ reason: describe(error) }, 'the temperature cannot be read')
      }
      await pause(this.#parts.clock, LOOK_MS, signal)
    }
  }

  #look(thermal: Thermal): void {
    const before = this.#budget
    this.#thermal = thermal
    this.#lookedAt = this.#parts.clock.now()
    const now = this.#budget = this.#spare(budget(thermal))
    if (before.images !== now.images) this.#parts.rest(!now.images)
    if (before.stepMs === now.stepMs && before.images === now.images && before.doze === now.doze) return
    const { by = 'nothing' } = now
    this.#parts.log[by === 'heat' || by === 'steps' ? 'warn' : 'info']({ ...now }, SAID[by === 'heat' && now.doze ? 'hot' : by])
  }

  /** What is left where steps have outgrown the budget; heat may have taken as much already. */
  #spare(left: Budget): Budget {
    if ((this.#parts.stepMs() ?? 0) > left.stepMs) this.#strainedAt = this.#lookedAt
    if (this.#lookedAt - this.#strainedAt >= HOLD_MS || (!left.images && left.doze)) return left
    const reason = `steps took more than ${left.stepMs} ms of late`
    return { ...left, images: false, doze: true, by: 'steps', reason: left.reason === undefined ? reason : `${left.reason}; ${reason}` }
  }
}
