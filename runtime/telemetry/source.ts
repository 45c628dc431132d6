/** What the runtime tells telemetry. A conversation's events can be passed on as they are: what must not leave is left here. */

/** One reply from its question to its end. Words may stand in it beside these fields; they are never read. */
export interface TurnRecord {
  readonly type: 'turn'
  readonly turn: number
  /** End of the person's speech to the first sound, ms. */
  readonly firstSoundMs: number | null
  /** Onset of the speech that interrupted to silence, ms. */
  readonly bargeInMs: number | null
  readonly spokenMs: number
  readonly heardMs: number
  readonly interrupted: boolean
  readonly ended: 'end' | 'cut' | 'lost' | 'closed'
  readonly tools: readonly { readonly name: string; readonly ok: boolean; readonly ms: number }[]
  readonly steps: { readonly count: number; readonly p50: number | null; readonly p95: number | null; readonly max: number | null }
  readonly drops: { readonly microphoneTicks: number; readonly speechChunks: number; readonly gaps: number }
}

export interface ReadingRecord {
  readonly type: 'reading'
  readonly source: string
  readonly value: number | string | boolean
  readonly unit?: string | undefined
}

export interface ErrorRecord {
  readonly type: 'error'
  /** Only the code is sent: a message may quote words or a path. */
  readonly code: string
  readonly count?: number | undefined
}

/** How the parts are; `progressMs` is the time since each last did something. */
export interface HealthRecord {
  readonly type: 'health'
  readonly parts: readonly { readonly name: string; readonly ok: boolean; readonly progressMs: number; readonly counters?: Readonly<Record<string, number>> }[]
  readonly respawns?: number
  readonly falseStarts?: number
}

/** Facts that change seldom. */
export interface AboutRecord {
  readonly type: 'about'
  readonly version?: string
  readonly bundle?: string
  /** sha256 of the bundle's manifest, hex. */
  readonly bundleHash?: string
  readonly provider?: string
  readonly powerMode?: string
  /** Ms that a step may take, lower when the chip is hot. */
  readonly tickBudgetMs?: number
}

/** Other events of the conversation; not sent. */
export interface OtherRecord {
  readonly type: 'speech-start' | 'speech-end' | 'text' | 'tool' | 'first-sound' | 'interrupted'
}

export type SourceEvent = TurnRecord | ReadingRecord | ErrorRecord | HealthRecord | AboutRecord | OtherRecord

export interface TelemetrySource {
  /** Calls back for each event, in order, until the returned function is called. The callback never throws and never waits. */
  listen(hear: (event: SourceEvent) => void): () => void
}

/** A source to tell things to. */
export class Telling implements TelemetrySource {
  readonly #ears = new Set<(event: SourceEvent) => void>()

  listen(hear: (event: SourceEvent) => void): () => void {
    this.#ears.add(hear)
    return () => this.#ears.delete(hear)
  }

  tell = (event: SourceEvent): void => {
    for (const hear of this.#ears) hear(event)
  }
}
