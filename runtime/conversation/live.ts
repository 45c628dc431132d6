import { BoundedQueue } from '../../base/bounded-queue.js'
import { pause, type Clock } from '../../base/clock.js'
import { describe } from '../../base/errors.js'
import type { AudioFrame } from '../../base/frames.js'
import type { OmniSession, Tick } from '../../models/session.js'
import type { Conversation } from './conversation.js'
import { Doze } from './doze.js'
import type { ConversationSettings } from './settings.js'
import { TickAssembler } from './tick-assembler.js'

/** A frame behind the echo gate; `own`: nothing but our own voice was in it. */
export interface GatedFrame {
  readonly frame: AudioFrame
  readonly own: boolean
}

export interface LiveParts {
  readonly conversation: Conversation
  readonly session: OmniSession
  readonly frames: AsyncIterable<GatedFrame>
  readonly clock: Clock
  readonly settings: ConversationSettings
  /** Whether the model should be spared ticks in which it has nothing to do; default: never. */
  readonly spare?: () => boolean
}

/** How often the clock looks whether the microphone still gives anything, ms. */
const LOOK_MS = 80

/**
 * The clock of a live conversation. The microphone never waits: it fills a short queue, from which the oldest tick goes when
 * the model is behind. A microphone that gives nothing is silence, so that time goes on.
 */
export class LiveClock {
  readonly #parts: LiveParts
  readonly #assembler: TickAssembler
  readonly #queue: BoundedQueue<Tick>
  readonly #doze = new Doze()
  #skipped = 0
  #wake: (() => void) | undefined
  #lastFrameAt: number
  #quietLooks = 0
  #over = false

  constructor(parts: LiveParts) {
    this.#parts = parts
    this.#assembler = new TickAssembler(parts.session.inputRate, parts.session.tickSamples)
    this.#queue = new BoundedQueue(parts.settings.waitingTicks)
    this.#lastFrameAt = parts.clock.now()
  }

  /** Monotonic ms at which the newest frame came. */
  get lastFrameAt(): number {
    return this.#lastFrameAt
  }

  /** Runs until the frames end or `signal` aborts. */
  async run(signal: AbortSignal): Promise<void> {
    const end = (): void => this.#end()
    signal.addEventListener('abort', end, { once: true })
    if (signal.aborted) this.#end()
    const looking = new AbortController()
    void this.#capture() // ends with its microphone, whose owner closes it
    void this.#watch(looking.signal)
    try {
      await this.#step()
    } finally {
      this.#end()
      looking.abort()
      signal.removeEventListener('abort', end)
    }
  }

  /** Never throws. */
  async #capture(): Promise<void> {
    try {
      for await (const { frame, own } of this.#parts.frames) {
        if (this.#over) return
        this.#lastFrameAt = this.#parts.clock.now()
        this.#quietLooks = 0
        this.#parts.conversation.hear(frame, own)
        this.#put(this.#assembler.push(frame))
      }
    } catch (error) {
      this.#parts.conversation.report('microphone-failed', describe(error))
    } finally {
      this.#end()
    }
  }

  async #watch(signal: AbortSignal): Promise<void> {
    const { clock, settings } = this.#parts
    while (!signal.aborted) {
      await pause(clock, LOOK_MS, signal)
      if (signal.aborted || this.#over) return
      // Two looks in a row: after a pause of this process its timers fire before the frames that wait in the pipe.
      const silent = clock.now() - this.#lastFrameAt > settings.silentAfterMs
      this.#quietLooks = silent ? this.#quietLooks + 1 : 0
      if (this.#quietLooks >= 2) this.#put(this.#assembler.pass(clock.now()))
    }
  }

  #put(ticks: readonly Tick[]): void {
    let lost = this.#assembler.skipped - this.#skipped
    this.#skipped = this.#assembler.skipped
    for (const tick of ticks) if (this.#queue.push(tick)) lost++
    if (lost) this.#parts.conversation.lose(lost)
    this.#wake?.()
  }

  async #step(): Promise<void> {
    for (;;) {
      const tick = this.#queue.shift()
      if (tick) await this.#take(tick)
      else if (this.#over) return
      else await new Promise<void>(resolve => { this.#wake = resolve })
    }
  }

  async #take(tick: Tick): Promise<void> {
    const { conversation, spare } = this.#parts
    for (const due of this.#doze.due(tick, spare?.() === true && conversation.idleIn(tick))) await conversation.tick(due)
  }

  #end(): void {
    this.#over = true
    this.#queue.clear()
    this.#wake?.()
  }
}
