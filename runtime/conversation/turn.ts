import type { ToolOutcome } from '../tools/dispatcher.js'
import type { PlayoutReport } from '../playout/playout.js'
import type { TurnEvent } from './events.js'
import { round } from './statistics.js'
import type { Speech } from './speech-meter.js'

export type Ended = TurnEvent['ended']

/** What is known of one reply, from its first piece until its sound is over and its calls have ended. */
export class Turn {
  readonly number: number
  text = ''
  heard = ''
  style: string | null = null
  /** The person's speech that it answers, or the time of what was typed. */
  person: Speech | undefined
  typedAt: number | undefined
  ended: Ended | undefined
  /** End of the tick in which the model gave its first sound, monotonic ms. */
  onsetAt: number | undefined
  /** Onset of the speech that cut it, monotonic ms. */
  cutFrom: number | undefined
  report: PlayoutReport | undefined
  openCalls = 0
  readonly tools: ToolOutcome[] = []

  constructor(number: number) {
    this.number = number
  }

  /** No more can happen in it. */
  get complete(): boolean {
    return this.ended !== undefined && this.report !== undefined && this.openCalls === 0
  }

  /** From the end of what it answers. */
  afterSpeechMs(firstSoundAt: number | undefined): number | null {
    const askedAt = this.typedAt ?? this.person?.to
    return round(firstSoundAt === undefined || askedAt === undefined ? undefined : firstSoundAt - askedAt)
  }

  bargeInMs(): number | null {
    return round(this.report?.cut && this.cutFrom !== undefined ? this.report.endAt - this.cutFrom : undefined)
  }

  /** Its record on the time line that begins at `origin`. */
  record(origin: number, steps: TurnEvent['steps'], microphoneTicks: number): TurnEvent {
    const { report } = this
    const on = (at: number | undefined): number | null => round(at === undefined ? undefined : at - origin)
    return {
      at: on(report?.endAt) ?? 0,
      type: 'turn',
      turn: this.number,
      text: this.text.trim(),
      heard: this.heard.trim(),
      style: this.style,
      personFrom: on(this.person?.from),
      personTo: on(this.person?.to),
      firstSound: on(report?.firstSoundAt),
      firstSoundMs: this.afterSpeechMs(report?.firstSoundAt),
      onsetMs: report?.firstSoundAt === undefined ? null : this.afterSpeechMs(this.onsetAt),
      spokenMs: round(report?.spokenMs) ?? 0,
      heardMs: round(report?.heardMs) ?? 0,
      interrupted: this.ended === 'cut',
      bargeInMs: this.bargeInMs(),
      ended: this.ended ?? 'closed',
      tools: this.tools.map(({ name, args, ok, ms, error }) => ({ name, args, ok, ms: round(ms) ?? 0, ...(error === undefined ? {} : { error }) })),
      steps,
      drops: { microphoneTicks, speechChunks: report?.droppedChunks ?? 0, gaps: report?.gaps ?? 0 },
    }
  }
}
