import { pause, systemClock } from '../../base/clock.js'
import type { Conversation } from '../conversation/conversation.js'
import type { ConversationEvent, TurnEvent } from '../conversation/events.js'
import { quantile, round } from '../conversation/statistics.js'
import { callText, judge, type DemoResult } from './judge.js'
import type { DemoScript, DemoTurn } from './script.js'
import type { Stage } from './stage.js'

/** A good answer begins within a second of the end of speech; ten say that none will come, ms. */
const ANSWER_LIMIT_MS = 10_000
/** No answer of this model is longer, ms. */
const SPEECH_LIMIT_MS = 20_000
/** The device is done when it has been quiet for so many ticks (1 s): a call may follow its words. */
const DONE_TICKS = 12
/** A person waits a little before the next question, ms. */
const PAUSE_MS = 500
const LOOK_MS = 20

/** Says the script's turns to the device, each in its time, and looks what comes of it. */
export class Director {
  readonly #script: DemoScript
  readonly #stage: Stage
  readonly #conversation: Conversation
  readonly #signal: AbortSignal
  readonly #events: ConversationEvent[] = []

  constructor(script: DemoScript, stage: Stage, conversation: Conversation, signal: AbortSignal) {
    this.#script = script
    this.#stage = stage
    this.#conversation = conversation
    this.#signal = signal
  }

  take(event: ConversationEvent): void {
    this.#events.push(event)
  }

  /** `onResult`: in the script's order, each once all is known of it: of an answer that is interrupted, after the turn that did. */
  async play(onResult: (result: DemoResult) => void): Promise<DemoResult[]> {
    const results: DemoResult[] = []
    const judged = (...of: [turn: DemoTurn, after: number, last?: number]): void => {
      const result = this.#judged(...of)
      results.push(result)
      onResult(result)
    }
    await this.#until(() => this.#conversation.quietTicks >= DONE_TICKS, ANSWER_LIMIT_MS)
    let interrupted: { readonly turn: DemoTurn; readonly after: number } | undefined
    for (let i = 0; i < this.#script.turns.length; i++) {
      if (this.#signal.aborted) break
      const [turn, next] = [this.#script.turns[i] as DemoTurn, this.#script.turns[i + 1]]
      const after = turn.interrupts ? this.#last('first-sound')?.turn ?? 0 : this.#newest()
      await this.#turn(turn, next, after)
      if (interrupted) judged(interrupted.turn, interrupted.after, after)
      interrupted = next?.interrupts ? { turn, after } : undefined
      if (!interrupted) judged(turn, after)
    }
    if (interrupted) judged(interrupted.turn, interrupted.after)
    return results
  }

  /** Says one, and waits until the answer is over, or until the next one is to interrupt it. `after`: the reply before the answer. */
  async #turn(turn: DemoTurn, next: DemoTurn | undefined, after: number): Promise<void> {
    if (!turn.interrupts) await pause(systemClock, PAUSE_MS, this.#signal) // interrupted: the loop above ends
    await this.#stage.say(turn.wav)
    const answered = (): boolean => this.#newest() > after
    await this.#until(answered, ANSWER_LIMIT_MS * (turn.expect.silent ? 0.3 : 1))
    if (answered() && next?.interrupts) {
      const sounds = (): boolean => (this.#last('first-sound')?.turn ?? 0) > after
      await this.#until(sounds, ANSWER_LIMIT_MS)
      await pause(systemClock, next.afterMs, this.#signal) // as above
    } else {
      await this.#until(() => this.#conversation.quietTicks >= DONE_TICKS && !this.#conversation.busy, SPEECH_LIMIT_MS)
    }
  }

  /** What came of a turn: by the replies numbered over `after`, up to `last`. */
  #judged(turn: DemoTurn, after: number, last = Infinity): DemoResult {
    const records = this.#of('turn')
    const all = this.#numbers().filter(n => n > after && n <= last).map(n => records.find(e => e.turn === n) ?? this.#unfinished(n))
    const before = turn.interrupts ? records.find(e => e.turn === after) : undefined
    const { origin } = this.#conversation
    const first = all.find(a => a.firstSound !== null)
    const sounded = first?.personTo != null && this.#stage.firstSoundAt ? this.#stage.firstSoundAt(origin + (first.firstSound ?? 0) - 60) : undefined
    const onset = before?.bargeInMs == null ? undefined : before.at - before.bargeInMs
    const silent = onset === undefined ? undefined : this.#stage.lastSoundAt?.(origin + onset, origin + (first?.firstSound ?? before?.at ?? 0) - 60)
    return {
      said: turn.said,
      answer: all.map(a => a.text).join(' ').trim(),
      tools: all.flatMap(a => a.tools.map(callText)),
      firstSoundMs: first?.firstSoundMs ?? null,
      onsetMs: first?.onsetMs ?? null,
      soundedMs: round(sounded === undefined ? undefined : sounded - origin - (first?.personTo ?? 0)),
      bargeInMs: before?.bargeInMs ?? null,
      silentMs: round(silent === undefined || onset === undefined ? undefined : silent - origin - onset),
      stepP95: round(quantile(all.flatMap(a => (a.steps.p95 === null ? [] : [a.steps.p95])), 1)),
      gaps: all.reduce((n, a) => n + a.drops.gaps, 0),
      missing: judge(turn, all, before),
    }
  }

  /** A reply that never came to its end, as far as it has come. */
  #unfinished(turn: number): TurnEvent {
    const of = <E extends { turn: number }>(events: readonly E[]): E[] => events.filter(e => e.turn === turn)
    const sound = of(this.#of('first-sound'))[0]
    return {
      at: 0, type: 'turn', turn, text: of(this.#of('text')).map(e => e.text).join('').trim(), heard: '', style: null, personFrom: null,
      personTo: sound && sound.afterSpeechMs !== null ? sound.at - sound.afterSpeechMs : null,
      firstSound: sound?.at ?? null, firstSoundMs: sound?.afterSpeechMs ?? null, onsetMs: sound?.onsetMs ?? null, spokenMs: 0, heardMs: 0, interrupted: false, bargeInMs: null, ended: 'closed',
      tools: of(this.#of('tool')).map(({ name, args }) => ({ name, args, ok: false, ms: 0 })), steps: { count: 0, p50: null, p95: null, max: null }, drops: { microphoneTicks: 0, speechChunks: 0, gaps: 0 },
    }
  }

  /** Of all replies that have begun, in order. */
  #numbers(): number[] {
    return [...new Set(this.#events.flatMap(e => ('turn' in e && typeof e.turn === 'number' ? [e.turn] : [])))].sort((a, b) => a - b)
  }

  /** The number of the newest reply that has begun. */
  #newest(): number {
    return this.#numbers().at(-1) ?? 0
  }

  #of<T extends ConversationEvent['type']>(type: T): Extract<ConversationEvent, { type: T }>[] {
    return this.#events.filter((e): e is Extract<ConversationEvent, { type: T }> => e.type === type)
  }

  #last<T extends ConversationEvent['type']>(type: T): Extract<ConversationEvent, { type: T }> | undefined {
    return this.#of(type).at(-1)
  }

  async #until(holds: () => boolean, limitMs: number): Promise<boolean> {
    for (const end = systemClock.now() + limitMs; systemClock.now() < end && !this.#signal.aborted;) {
      if (holds()) return true
      await pause(systemClock, LOOK_MS, this.#signal) // interrupted: the loop ends
    }
    return holds()
  }
}
