import type { TurnRecord } from './source.js'

export type Kind = 'turn' | 'event'

/** What is put on a topic, and on disk where it must wait. `id` is the same when it is sent twice. */
export interface TelemetryRecord {
  readonly id: string
  /** Unix ms when it happened, not when it was sent. */
  readonly at: number
  /** Absent: the clock was right. `floor`: it was wrong, and `at` counts from the last good time. */
  readonly clock?: 'floor'
  readonly [key: string]: unknown
}

/** The numbers of a turn, field by field, so that a word can never slip through with a spread. */
export function turnNumbers(turn: TurnRecord): Record<string, unknown> {
  return {
    turn: turn.turn,
    firstSoundMs: turn.firstSoundMs,
    bargeInMs: turn.bargeInMs,
    spokenMs: turn.spokenMs,
    heardMs: turn.heardMs,
    interrupted: turn.interrupted,
    ended: turn.ended,
    tools: turn.tools.slice(0, 16).map(t => ({ name: t.name, ok: t.ok, ms: t.ms })),
    steps: { count: turn.steps.count, p50: turn.steps.p50, p95: turn.steps.p95, max: turn.steps.max },
    drops: { microphoneTicks: turn.drops.microphoneTicks, speechChunks: turn.drops.speechChunks, gaps: turn.drops.gaps },
  }
}
