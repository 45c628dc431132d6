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

  async play(onResult: (result: DemoResult) => void): Promise<DemoResult[]> {
    const results: DemoResult[] = []
    await this.#until(() => this.#conversation.quietTicks >= DONE_TICKS, ANSWER_LIMIT_MS)
    for (let i = 0; i < this.#script.turns.length; i++) {
      if (this.#signal.aborted) break
      const result = await this.#turn(this.#script.turns[i] as DemoTurn, this.#script.turns[i + 1])
      results.push(result)
      onResult(result)
    }
    return results
  }

  /** Says one, and waits until the answer is over, or until the next one is to interrupt it. */
  async #turn(turn: DemoTurn, next: DemoTurn | undefined): Promise<DemoResult> {
    const answeredBefore = turn.interrupts ? this.#last('first-sound')?.turn ?? 0 : this.#newest()
    if (!turn.interrupts) await pause(systemClock, PAUSE_MS, this.#signal) // interrupted: the loop above ends
    await this.#stage.say(turn.wav)
    const answered = (): boolean => this.#newest() > answeredBefore
    await this.#until(answered, ANSWER_LIMIT_MS * (turn.expect.silent ? 0.3 : 1))
    if (answered() && next?.interrupts) {
      const sounds = (): boolean => (this.#last('first-sound')?.turn ?? 0) > answeredBefore
      await this.#until(sounds, ANSWER_LIMIT_MS)
      await pause(systemClock, next.afterMs, this.#signal) // as above
    } else {
      await this.#until(() => this.#conversation.quietTicks >= DONE_TICKS && !this.#conversation.busy, SPEECH_LIMIT_MS)
    }
    // The record of an answer that the next turn interrupts comes only then: this one is judged by what is there.
    return this.#result(turn, answeredBefore, next?.interrupts ?? false)
  }

  #result(turn: DemoTurn, after: number, goesOn: boolean): DemoResult {
    const records = this.#of('turn')
    const answers = records.filter(e => e.turn > after)
    const current = goesOn ? this.#unfinished(after) : undefined
    const all = current ? [...answers, current] : answers
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
      gaps: [...answers, ...(before ? [before] : [])].reduce((n, a) => n + a.drops.gaps, 0),
      missing: judge(turn, all, before),
    }
  }

  /** An answer that still sounds, as far as it has come. */
  #unfinished(after: number): TurnEvent | undefined {
    const texts = this.#of('text').filter(e => e.turn > after)
    const calls = this.#of('tool').filter(e => e.turn > after)
    const sound = this.#of('first-sound').find(e => e.turn > after)
    const number = texts[0]?.turn ?? calls[0]?.turn ?? sound?.turn
    if (number === undefined || this.#of('turn').some(e => e.turn === number)) return undefined
    const end = sound && sound.afterSpeechMs !== null ? sound.at - sound.afterSpeechMs : null
    return {
      at: 0, type: 'turn', turn: number, text: texts.map(e => e.text).join('').trim(), heard: '', style: null, personFrom: null, personTo: end,
      firstSound: sound?.at ?? null, firstSoundMs: sound?.afterSpeechMs ?? null, onsetMs: sound?.onsetMs ?? null, spokenMs: 0, heardMs: 0, interrupted: false, bargeInMs: null, ended: 'closed',
      tools: calls.map(({ name, args }) => ({ name, args, ok: true, ms: 0 })), steps: { count: 0, p50: null, p95: null, max: null }, drops: { microphoneTicks: 0, speechChunks: 0, gaps: 0 },
    }
  }

  /** The number of the newest reply that has begun. */
  #newest(): number {
    return this.#events.reduce((n, e) => ('turn' in e && typeof e.turn === 'number' ? Math.max(n, e.turn) : n), 0)
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
