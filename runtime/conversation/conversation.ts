import type { Clock } from '../../base/clock.js'
import type { AudioFrame, Reading, ToolCall } from '../../base/frames.js'
import type { Actuator, Speaker } from '../../drivers/contract.js'
import type { OmniSession, Said, Tick } from '../../models/session.js'
import { Playout, type PlayoutReport } from '../playout/playout.js'
import type { PlayoutSettings } from '../playout/settings.js'
import { Dispatcher, FAILED_CALL } from '../tools/dispatcher.js'
import type { ToolSettings } from '../tools/settings.js'
import { Volume } from '../tools/volume.js'
import type { ConversationEvent, OnEvent, PartCode } from './events.js'
import type { Knowledge } from './knowledge.js'
import type { ConversationSettings } from './settings.js'
import { SpeechMeter } from './speech-meter.js'
import { StepTimes, round } from './statistics.js'
import { Stepper, type Trouble } from './stepper.js'
import { Turn, type Ended } from './turn.js'

/** 10 s, after which silence is forgotten (ADR 0023): what is left out then is missed by nothing. */
const IDLE_TICKS = 125

/** A model that tells a typed turn from something that happened; one that cannot takes both as the latter. */
export interface Model extends OmniSession {
  tell(line: string, kind?: 'event' | 'typed' | 'say'): void
}

export interface ConversationParts {
  readonly session: Model
  readonly speaker: Speaker
  readonly actuator: Actuator
  readonly knowledge: Knowledge
  /** The time of ticks and sound. */
  readonly clock: Clock
  /** Real time, for the limits of steps and calls; default `clock`. */
  readonly realClock?: Clock
  readonly settings: { readonly conversation: ConversationSettings; readonly playout: PlayoutSettings; readonly tools: ToolSettings }
  /** A recording: no tick is ever left out, however slow the model is. */
  readonly lossless?: boolean
  readonly onEvent: OnEvent
}

/**
 * One talk between a person and the model: a step a tick, its speech to the speaker, its calls to the tools, all told as events.
 *
 * INVARIANTS. Ticks are stepped one after the other. A `cut`, or the loss of the model, silences the speaker before anything
 * else. Every turn has exactly one `turn` event. Nothing here throws because of the model, the speaker or an actuator.
 */
export class Conversation {
  readonly playout: Playout
  readonly tools: Dispatcher
  readonly meter: SpeechMeter
  readonly volume: Volume
  readonly #parts: ConversationParts
  readonly #stepper: Stepper
  readonly #steps = new StepTimes()
  readonly #turns: Turn[] = []
  /** The turn that the model is in, until its last tick of speech. */
  #turn: Turn | undefined
  #ending = false
  #count = 0
  #respawns: number
  #origin: number | undefined
  #quietTicks = 0
  /** As `quietTicks`, since it was last told something. */
  #idleTicks = 0
  #lostTicks = 0
  #lostInAll = 0
  #answered: unknown
  #typedAt: number | undefined
  #heardBefore = ''
  #closed = false
  /** Times that it was told to be still and the model has not forgotten its reply yet. */
  #hushing = 0

  constructor(parts: ConversationParts) {
    const { session, speaker, clock, settings } = parts
    const realClock = parts.realClock ?? clock
    this.#parts = parts
    this.#respawns = session.respawns
    this.playout = new Playout(speaker, clock, session.outputRate, settings.playout, {
      onFirstSound: (turn, at) => this.#onFirstSound(turn, at),
      onReport: report => this.#onReport(report),
      onTrouble: (turn, code, message) => this.#emit({ at: this.#now(), type: 'error', code, message, turn }),
    })
    this.tools = new Dispatcher(parts.actuator, realClock, settings.tools)
    this.volume = new Volume(this.playout)
    this.tools.add('volume', call => this.volume.act(call))
    this.meter = new SpeechMeter((type, at) => this.#emit({ at: this.#on(at), type }))
    this.#stepper = new Stepper(session, realClock, { stallMs: settings.conversation.stallMs, lossless: parts.lossless ?? false }, t => this.#onTrouble(t))
  }

  /** Ticks in a row in which the model gave nothing. */
  get quietTicks(): number {
    return this.#quietTicks
  }

  /** Whether the model has had nothing to do for ten seconds, and nobody speaks in this tick either. */
  idleIn(tick: Tick): boolean {
    return this.#idleTicks >= IDLE_TICKS && !this.#turn && !this.busy && !this.meter.speaking && this.meter.quiet(tick.audio)
  }

  /** True while sound is to be heard or a call is running. */
  get busy(): boolean {
    return this.#turns.some(t => t !== this.#turn) || this.playout.busy || this.tools.running > 0
  }

  /** Ms of a slow step (p95) in the last 10 s; undefined at the beginning. */
  get recentStepMs(): number | undefined {
    return this.#steps.recentP95
  }

  get lastStepAt(): number {
    return this.#stepper.lastStepAt
  }

  get lostTicks(): number {
    return this.#lostInAll
  }

  /** True once its time line has a zero. */
  get started(): boolean {
    return this.#origin !== undefined
  }

  /** Monotonic ms of the time line's zero. */
  get origin(): number {
    return (this.#origin ??= this.#parts.clock.now())
  }

  /** A frame as the microphone gave it; `own`: only our own voice is in it. For the stamps of speech only. */
  hear(frame: AudioFrame, own = false): void {
    this.#origin ??= frame.at
    this.#lookForRespawn()
    this.meter.hear(frame, own)
    this.playout.poll()
  }

  /** One tick of the clock: one step of the model. Resolves when what it gave is on its way. */
  async tick(tick: Tick): Promise<void> {
    if (this.#closed) return
    this.#origin ??= tick.at
    this.#lookForRespawn()
    this.playout.poll()
    const said = await this.#stepper.step(tick)
    if (this.#closed) return
    if (said) this.#take(said)
    else this.lose(1)
  }

  /** Ticks that never reached the model. */
  lose(ticks: number): void {
    this.#lostTicks += ticks
    this.#lostInAll += ticks
  }

  /** A sensor's value or an event: the model reads it. What is measured is known until it is measured anew. */
  tell(reading: Omit<Reading, 'at'>): void {
    const { source, value, unit } = reading
    this.#idleTicks = 0
    if (typeof value === 'number') this.#parts.knowledge.measure(source, value)
    else this.#parts.session.tell(`${source} ${value}`)
    this.#emit({ at: this.#now(), type: 'reading', source, value, ...(unit === undefined ? {} : { unit }) })
  }

  /** A typed turn, as if it had been said. */
  type(text: string): void {
    this.#typedAt = this.#parts.clock.now()
    this.#idleTicks = 0
    this.#parts.session.tell(text, 'typed')
  }

  /** Words for the model to say as they are. What it then says was asked for, as an answer to a typed turn is. */
  say(text: string): void {
    this.#typedAt = this.#parts.clock.now()
    this.#idleTicks = 0
    this.#parts.session.tell(text, 'say')
  }

  /** Silence at once; resolves when the model has forgotten what it was saying, with the whole talk. Never rejects. */
  async hush(): Promise<void> {
    this.#hushing++
    this.#cutTurn('cut')
    await this.#parts.session.reset().catch(() => {}) // it was lost: its successor knows nothing of the talk
    this.#hushing--
  }

  /** An error of another part, for the people who read the events. */
  report(code: PartCode, message: string): void {
    this.#emit({ at: this.#now(), type: 'error', code, message })
  }

  /** No more ticks come. A reply that the model has not ended is over with what it has said, and that is heard. */
  end(): void {
    this.#endTurn('closed')
  }

  /** Silence, and the last records. May be called again. */
  close(): void {
    if (this.#closed) return
    this.#endTurn('closed')
    this.playout.cut()
    this.meter.finish()
    this.tools.close()
    this.#stepper.close()
    for (const turn of [...this.#turns]) {
      turn.openCalls = 0 // their ends come after ours
      this.#finish(turn)
    }
    this.#closed = true
  }

  #take(said: Said): void {
    // Before anything else: every ms here is heard by the person who speaks.
    if (said.mark === 'cut') this.#cutTurn('cut')
    this.#steps.add(said.stepMs)
    if (this.#hushing) return
    const gives = said.speech !== undefined || said.text !== '' || said.call !== undefined || said.mark !== undefined
    this.#quietTicks = gives ? 0 : this.#quietTicks + 1
    this.#idleTicks = gives || said.heard !== '' ? 0 : this.#idleTicks + 1
    const endsAt = said.at + (1000 * this.#parts.session.tickSamples) / this.#parts.session.inputRate
    if (this.#startsAnew(said)) {
      this.#endTurn('end')
      this.#openTurn()
    }
    if (said.heard !== '') this.#noteHeard(said.heard)
    if (said.text !== '') {
      const turn = this.#turn ?? this.#openTurn()
      turn.text += said.text
      this.#emit({ at: this.#on(endsAt), type: 'text', turn: turn.number, text: said.text })
    }
    if (said.style !== undefined) (this.#turn ?? this.#openTurn()).style = said.style
    if (said.speech) {
      if (this.#turn) this.#turn.onsetAt ??= endsAt
      this.playout.play(this.#turn?.number ?? 0, said.speech)
    }
    if (said.call) this.#call(said.call, this.#turn ?? this.#openTurn(), endsAt)
    if (said.mark === 'end') this.#ending = true
    // The last sound may come after the last word: a reply is over with its first silent tick.
    if (this.#ending && !said.speech) this.#endTurn('end')
  }

  /** Words lead their sound: after a reply's last word its last sounds still come, and those open nothing. */
  #startsAnew(said: Said): boolean {
    if (this.#ending && said.speech && said.text === '' && said.style === undefined) return false
    return said.mark === 'begin' || (this.#ending && said.text !== '')
  }

  #openTurn(): Turn {
    const turn = new Turn(++this.#count)
    const { latest } = this.meter
    if (this.#typedAt !== undefined) turn.typedAt = this.#typedAt
    else if (latest !== this.#answered) turn.person = latest
    this.#typedAt = undefined
    this.#answered = latest
    turn.heard = this.#heardBefore
    this.#heardBefore = ''
    this.#turn = turn
    this.#ending = false
    this.#turns.push(turn)
    this.playout.open(turn.number)
    return turn
  }

  /** What the model heard while it was silent belongs to its next reply. */
  #noteHeard(piece: string): void {
    if (this.#turn) this.#turn.heard += piece
    else this.#heardBefore = (this.#heardBefore + piece).slice(-2_000)
  }

  #endTurn(ended: Ended): void {
    const turn = this.#turn
    if (!turn) return
    this.#turn = undefined
    this.#ending = false
    turn.ended = ended
    this.playout.end(turn.number)
    this.#finish(turn)
  }

  /** The reply is over now, whatever of it was still to come. */
  #cutTurn(ended: Ended): void {
    const { latest, speaking } = this.meter
    const now = this.#parts.clock.now()
    for (const turn of this.#turns) {
      if (turn.report) continue
      turn.ended = ended
      // Speech that ended seconds ago is not what cut it.
      if (ended === 'cut' && latest && (speaking || now - latest.to < 2_000) && latest !== turn.person) turn.cutFrom = latest.from
    }
    this.#turn = undefined
    this.#ending = false
    this.playout.cut()
  }

  #call(call: ToolCall, turn: Turn, at: number): void {
    const { name, args } = call
    this.#emit({ at: this.#on(at), type: 'tool', turn: turn.number, name, args: { ...args } })
    turn.openCalls++
    void this.tools.dispatch(call).then(outcome => {
      if (this.#closed) return
      turn.openCalls--
      turn.tools.push(outcome)
      if (!outcome.ok) this.#emit({ at: this.#now(), type: 'error', code: outcome.code ?? FAILED_CALL, message: outcome.error ?? name, turn: turn.number })
      this.#finish(turn)
    })
  }

  #onFirstSound(number: number, at: number): void {
    const turn = this.#turns.find(t => t.number === number)
    if (!turn) return
    if (turn.person) turn.person = { ...turn.person } // what is said after this is not what it answers
    this.#emit({ at: this.#on(at), type: 'first-sound', turn: number, afterSpeechMs: turn.afterSpeechMs(at), onsetMs: turn.afterSpeechMs(turn.onsetAt) })
  }

  #onReport(report: PlayoutReport): void {
    const turn = this.#turns.find(t => t.number === report.turn)
    if (!turn) return
    turn.report = report
    if (turn.ended === 'cut') this.#emit({ at: this.#on(report.endAt), type: 'interrupted', turn: turn.number, heardMs: round(report.heardMs) ?? 0, bargeInMs: turn.bargeInMs() })
    this.#finish(turn)
  }

  #finish(turn: Turn): void {
    const index = this.#turns.indexOf(turn)
    if (index < 0 || !turn.complete) return
    this.#turns.splice(index, 1)
    const lost = this.#lostTicks
    this.#lostTicks = 0
    this.#emit(turn.record(this.origin, this.#steps.take(), lost))
  }

  /** A model that dies between two steps rejects none: the next one goes to its successor, which knows of no reply. */
  #lookForRespawn(): void {
    if (this.#closed || this.#parts.session.respawns === this.#respawns) return
    this.#onTrouble({ code: 'engine-lost', message: 'the model\'s process was lost and is started again', count: 0, lost: true })
  }

  #onTrouble(trouble: Trouble): void {
    this.#respawns = this.#parts.session.respawns
    if (trouble.lost) this.#cutTurn('lost')
    this.#emit({ at: this.#now(), type: 'error', code: trouble.code, message: trouble.message, count: trouble.count, ...(trouble.hint ? { hint: trouble.hint } : {}) })
  }

  #now(): number {
    return this.#on(this.#parts.clock.now())
  }

  #on(at: number): number {
    return round(at - this.origin) ?? 0
  }

  #emit(event: ConversationEvent): void {
    if (!this.#closed) this.#parts.onEvent(event)
  }
}
