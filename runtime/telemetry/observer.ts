import type { Clock } from '../../base/clock.js'
import { turnNumbers } from './records.js'
import type { Registry } from './registry.js'
import type { ErrorRecord, HealthRecord, ReadingRecord, SourceEvent, TurnRecord } from './source.js'

/** The same error again and again is one event with a count in this time, ms: a storm of errors must not fill the queue. */
const QUIET_MS = 10_000
/** Names that come from outside the table, so that a state stays a few kB. */
const MAX_NAMES = 32
const NAME = /^[a-z][a-z0-9 _.-]{0,39}$/i

export interface Part {
  readonly ok: boolean
  readonly progressMs: number
  readonly counters: Readonly<Record<string, number>>
}

export interface Emit {
  turn(fields: Record<string, unknown>): void
  event(fields: Record<string, unknown>): void
}

/** Turns what happens into metrics, turn records and events. This is where words end: fields are copied one by one. */
export class Observer {
  readonly #registry: Registry
  readonly #emit: Emit
  readonly #clock: Clock
  readonly #textReadings: ReadonlySet<string>
  readonly #errors = new Map<string, { at: number; held: number }>()
  readonly parts: Record<string, Part> = {}
  readonly readings: Record<string, number | boolean | string> = {}

  constructor(registry: Registry, emit: Emit, clock: Clock, textReadings: readonly string[]) {
    this.#registry = registry
    this.#emit = emit
    this.#clock = clock
    this.#textReadings = new Set(textReadings)
  }

  hear = (event: SourceEvent): void => {
    switch (event.type) {
      case 'turn': return this.#turn(event)
      case 'reading': return this.#reading(event)
      case 'error': return this.#error(event)
      case 'health': return this.#health(event)
      case 'about':
        this.#registry.set('version', event.version)
        this.#registry.set('bundle', event.bundle)
        this.#registry.set('bundle_hash', event.bundleHash)
        this.#registry.set('provider', event.provider)
        this.#registry.set('power_mode', event.powerMode)
        this.#registry.set('tick_budget', event.tickBudgetMs)
    }
  }

  #turn(turn: TurnRecord): void {
    const r = this.#registry
    r.add('turns')
    if (turn.interrupted) r.add('interrupted')
    if (turn.ended === 'lost') r.add('lost')
    r.set('first_sound', turn.firstSoundMs)
    r.set('barge_in', turn.bargeInMs)
    r.set('step_p50', turn.steps.p50)
    r.set('step_p95', turn.steps.p95)
    r.set('step_max', turn.steps.max)
    r.add('dropped_ticks', turn.drops.microphoneTicks)
    r.add('dropped_chunks', turn.drops.speechChunks)
    r.add('playout_gaps', turn.drops.gaps)
    r.add('tool_calls', turn.tools.length)
    r.add('tool_failures', turn.tools.filter(t => !t.ok).length)
    this.#emit.turn(turnNumbers(turn))
  }

  #reading({ source, value }: ReadingRecord): void {
    if (source === 'temperature' || source === 'battery') this.#registry.set(source, value)
    if (typeof value === 'string' && !(this.#textReadings.has(source) && value.length <= 40)) return
    if (NAME.test(source) && (source in this.readings || Object.keys(this.readings).length < MAX_NAMES)) this.readings[source] = value
  }

  #error({ code, count }: ErrorRecord): void {
    this.#registry.add('errors', count ?? 1)
    if (!NAME.test(code)) return
    const last = this.#errors.get(code)
    const now = this.#clock.now()
    if (last && now - last.at < QUIET_MS) {
      last.held += count ?? 1
      return
    }
    if (!last && this.#errors.size >= MAX_NAMES) return
    this.#errors.set(code, { at: now, held: 0 })
    this.#emit.event({ event: 'error', code, count: (count ?? 1) + (last?.held ?? 0) })
  }

  #health({ parts, respawns, falseStarts }: HealthRecord): void {
    this.#registry.set('respawns', respawns)
    this.#registry.set('false_starts', falseStarts)
    this.#registry.set('problem', parts.some(p => !p.ok))
    for (const { name, ok, progressMs, counters } of parts.slice(0, MAX_NAMES)) {
      if (!NAME.test(name)) continue
      const before = this.parts[name]
      this.parts[name] = { ok, progressMs: Math.round(progressMs), counters: numbers(counters ?? {}) }
      if (before && before.ok !== ok) this.#emit.event({ event: ok ? 'part-well' : 'part-ill', part: name })
    }
  }
}

function numbers(counters: Readonly<Record<string, number>>): Record<string, number> {
  return Object.fromEntries(Object.entries(counters).filter(([name, n]) => NAME.test(name) && Number.isFinite(n)).slice(0, MAX_NAMES))
}
