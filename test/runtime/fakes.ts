import pino from 'pino'
import { ManualClock, systemClock, type Clock } from '../../base/clock.js'
import type { AudioFrame, ToolCall } from '../../base/frames.js'
import type { Actuator, Health, Speaker } from '../../drivers/contract.js'
import { ParleyError } from '../../base/errors.js'
import type { Said, Tick } from '../../models/session.js'
import { Conversation, type Model } from '../../runtime/conversation/conversation.js'
import type { ConversationEvent } from '../../runtime/conversation/events.js'
import { Knowledge } from '../../runtime/conversation/knowledge.js'
import { configSchema } from '../../runtime/config/schema.js'

export const silentLog = pino({ level: 'silent' })
export const defaults = configSchema.parse({})
export const RATE = 16_000
export const TICK = 1_280

/** One tick of a tone, so that speech can be told from silence. */
export const tone = (level = 0.5): Float32Array => Float32Array.from({ length: TICK }, (_, i) => level * Math.sin((2 * Math.PI * 400 * i) / RATE))

export type Piece = Partial<Omit<Said, 'at' | 'stepMs'>> & { readonly fail?: 'lost' | 'hang' | 'throw' | 'deaf'; readonly slowMs?: number }
export type Script = (index: number, tick: Tick, model: ScriptedModel) => Piece

/** A model that says what its script says, tick by tick. */
export class ScriptedModel implements Model {
  readonly name = 'scripted'
  readonly provider = 'cpu'
  readonly inputRate = RATE
  readonly outputRate = RATE
  readonly tickSamples = TICK
  readonly ticks: Tick[] = []
  readonly told: string[] = []
  facts: readonly string[] = []
  respawns = 0
  readonly #script: Script
  readonly #clock: Clock

  constructor(script: Script, clock: Clock = systemClock) {
    this.#script = script
    this.#clock = clock
  }

  step(tick: Tick, signal?: AbortSignal): Promise<Said> {
    const index = this.ticks.push(tick) - 1
    const { fail, slowMs, ...piece } = this.#script(index, tick, this)
    if (fail === 'throw') throw new Error('a step that throws')
    return this.#settle(tick, piece, fail, slowMs, signal)
  }

  async #settle(tick: Tick, piece: Piece, fail: Piece['fail'], slowMs: number | undefined, signal: AbortSignal | undefined): Promise<Said> {
    if (slowMs) await this.#clock.sleep(slowMs)
    if (fail === 'lost') {
      this.respawns++
      throw new ParleyError('engine-lost', 'killed, as the script says')
    }
    if (fail === 'deaf') await new Promise(() => {})
    if (fail === 'hang') await new Promise((_, reject) => { signal?.addEventListener('abort', () => reject(signal.reason as Error), { once: true }) })
    return { at: tick.at, text: '', heard: '', speech: undefined, stepMs: 1, ...piece }
  }

  async setFacts(facts: readonly string[], passing: readonly string[] = []): Promise<void> {
    this.facts = [...facts, ...passing]
  }

  tell(line: string): void {
    this.told.push(line)
  }

  async reset(): Promise<void> {}
  async [Symbol.asyncDispose](): Promise<void> {}
}

/** Answers whoever speaks to it, three ticks after they end, with a tone of so many ticks; and stops when spoken over. */
export function attentive(replyTicks: number): Script {
  let [loud, quiet, left] = [0, 0, 0]
  return (_, tick) => {
    const energy = tick.audio.reduce((sum, s) => sum + s * s, 0) / tick.audio.length
    if (energy > 0.001) [loud, quiet] = [loud + 1, 0]
    else quiet++
    if (left > 0) {
      if (loud >= 2 && quiet === 0) {
        left = 0
        return { mark: 'cut' }
      }
      left--
      return left === 0 ? { mark: 'end', speech: tone(0.3) } : { speech: tone(0.3), text: ' la' }
    }
    if (loud < 2 || quiet < 3) return {}
    ;[loud, left] = [0, replyTicks]
    return { mark: 'begin', text: ' yes', speech: tone(0.3) }
  }
}

export type Hostility = 'none' | 'slow' | 'never-writes' | 'never-drains' | 'rejects' | 'throws' | 'throws-on-flush' | 'lies' | 'deaf'

/** A speaker that keeps what was written to it, and may misbehave. */
export class HostileSpeaker implements Speaker {
  readonly kind = 'speaker'
  readonly name = 'hostile'
  readonly rate = RATE
  /** Each write that was let in: its first sample names the turn. */
  readonly written: { readonly at: number; readonly samples: Float32Array }[] = []
  readonly flushes: number[] = []
  readonly #clock: Clock
  readonly #hostility: Hostility
  #startAt: number | undefined
  #writtenMs = 0

  constructor(clock: Clock, hostility: Hostility = 'none') {
    this.#clock = clock
    this.#hostility = hostility
  }

  write(samples: Float32Array, signal?: AbortSignal): Promise<void> {
    if (this.#hostility === 'throws') throw new Error('a write that throws')
    return this.#take(samples, signal)
  }

  async #take(samples: Float32Array, signal: AbortSignal | undefined): Promise<void> {
    this.written.push({ at: this.#clock.now(), samples })
    if (this.#hostility === 'rejects') throw new ParleyError('device-lost', 'the card is gone')
    if (this.#hostility === 'never-writes') await new Promise(() => {})
    if (this.#hostility === 'slow') await this.#clock.sleep(400, signal)
    if (this.#startAt === undefined || this.queuedMs() <= 0) this.#startAt = this.#clock.now() - this.#writtenMs // it had run out of sound
    this.#writtenMs += (samples.length * 1000) / RATE
    if (this.queuedMs() > 200) await this.#clock.sleep(this.queuedMs() - 200, signal)
  }

  flush(): number {
    this.flushes.push(this.#clock.now())
    if (this.#hostility === 'throws-on-flush') throw new Error('a flush that throws')
    const heard = this.heardMs()
    this.#startAt = undefined
    this.#writtenMs = 0
    return heard
  }

  heardMs(): number {
    if (this.#hostility === 'lies') return Number.NaN
    return this.#startAt === undefined ? 0 : Math.min(this.#writtenMs, this.#clock.now() - this.#startAt)
  }

  queuedMs(): number {
    return this.#writtenMs - this.heardMs()
  }

  tap(): () => void {
    return () => {}
  }

  async drain(signal?: AbortSignal): Promise<void> {
    if (this.#hostility === 'never-drains') await new Promise(() => {})
    if (this.#hostility === 'deaf') await this.#clock.sleep(600_000)
    const left = this.queuedMs()
    if (left > 0) await this.#clock.sleep(left, signal)
  }

  health(): Health {
    return { ok: true, lastProgressAt: 0, counters: {} }
  }

  async [Symbol.asyncDispose](): Promise<void> {}
}

/** Remembers its calls; those named `hang` never end. */
export class FakeActuator implements Actuator {
  readonly kind = 'actuator'
  readonly name = 'fake'
  readonly calls: ToolCall[] = []
  stops = 0

  async act(call: ToolCall, signal: AbortSignal): Promise<void> {
    this.calls.push(call)
    if (call.args['item'] === 'hang') await new Promise((_, reject) => { signal.addEventListener('abort', () => reject(signal.reason as Error), { once: true }) })
    if (call.args['item'] === 'fail') throw new ParleyError('failed', 'it failed, as the script says')
  }

  stop(): void {
    this.stops++
  }

  health(): Health {
    return { ok: true, lastProgressAt: 0, counters: {} }
  }

  async [Symbol.asyncDispose](): Promise<void> {}
}

export interface Rig {
  readonly clock: ManualClock
  readonly model: ScriptedModel
  readonly speaker: HostileSpeaker
  readonly actuator: FakeActuator
  readonly conversation: Conversation
  readonly events: ConversationEvent[]
  /** So many ticks of 80 ms, as the clock gives them. `loud`: a person speaks. */
  ticks(count: number, loud?: boolean): Promise<void>
  of<T extends ConversationEvent['type']>(type: T): Extract<ConversationEvent, { type: T }>[]
}

/** A conversation in manual time. */
export function rig(script: Script, hostility: Hostility = 'none', lossless = false): Rig {
  const clock = new ManualClock(1_000)
  const model = new ScriptedModel(script, clock)
  const speaker = new HostileSpeaker(clock, hostility)
  const actuator = new FakeActuator()
  const events: ConversationEvent[] = []
  const knowledge = new Knowledge({ session: model, clock, signal: new AbortController().signal, onTrouble: (code, message) => conversation.report(code, message) })
  const conversation: Conversation = new Conversation({ session: model, speaker, actuator, knowledge, clock, settings: defaults, lossless, onEvent: event => events.push(event) })
  return {
    clock, model, speaker, actuator, conversation, events,
    async ticks(count, loud = false) {
      for (let n = 0; n < count; n++) {
        const at = clock.now()
        const audio = loud ? tone() : new Float32Array(TICK)
        for (let part = 0; part < 4; part++) conversation.hear(frameOf(audio.subarray(part * 320, part * 320 + 320), at + part * 20))
        await clock.advance(80)
        let over = false
        void conversation.tick({ at, audio }).then(() => { over = true })
        // Steps that hang are over when their limit has passed.
        for (let waited = 0; !over && waited < 3_000; waited += 20) {
          await turnOfTheLoop()
          if (!over) await clock.advance(20)
        }
        if (!over) throw new Error('a tick never ended')
      }
      await turnOfTheLoop()
    },
    of: type => events.filter((e): e is never => e.type === type),
  }
}

export const frameOf = (samples: Float32Array, at: number): AudioFrame => ({ at, rate: RATE, samples, dropped: 0 })

export async function turnOfTheLoop(): Promise<void> {
  await new Promise<void>(resolve => setImmediate(resolve))
}
