import { pause, type Clock } from '../../base/clock.js'
import { describe } from '../../base/errors.js'
import { Resampler } from '../../base/resample.js'
import type { Speaker } from '../../drivers/contract.js'
import { bounded } from './bounded.js'
import type { PlayoutSettings } from './settings.js'

/** What became of one turn's speech. Each turn has exactly one. */
export interface PlayoutReport {
  readonly turn: number
  /** Ms of speech that the speaker was given. */
  readonly spokenMs: number
  /** Ms that were heard: never more than was given. */
  readonly heardMs: number
  readonly firstSoundAt: number | undefined
  /** Monotonic ms of the silence after it. */
  readonly endAt: number
  readonly cut: boolean
  readonly droppedChunks: number
  /** Times that the speaker had run out of sound before the next of this turn came: each is a hole in a word. */
  readonly gaps: number
}

export interface PlayoutListener {
  onFirstSound(turn: number, at: number): void
  onReport(report: PlayoutReport): void
  /** The speaker does not do what it should; at most once a turn. */
  onTrouble(turn: number, code: 'speaker-stalled' | 'speaker-failed' | 'speaker-slow', message: string): void
}

interface Line {
  readonly turn: number
  readonly resampler: Resampler | undefined
  /** The speaker's heard ms at which this line begins; unknown until its first write. */
  base: number | undefined
  spokenMs: number
  droppedChunks: number
  gaps: number
  firstPlayAt: number | undefined
  firstSoundAt: number | undefined
  ended: boolean
  troubled: boolean
  /** The speaker took nothing for too long: what is left is only tried, not waited for. */
  stalled: boolean
  /** Ms that were heard before the speaker was given up for this turn; nothing more of it is played. */
  givenUpAt: number | undefined
}

interface Chunk {
  readonly line: Line
  readonly samples: Float32Array
  readonly ms: number
}

/** Speech that may wait here for a slow speaker, in ticks; then the oldest goes. With the speaker's own window: one second. */
const MOST_WAITING = 10
/** A speaker takes a chunk within its window of 200 ms; its own watchdog acts after one second, ours after two, ms. */
const WRITE_LIMIT_MS = 2_000
/**
 * Sound waits, and none was heard for this long: the speaker's driver has had its restart, ms. What is left of the reply is given
 * up, or a device that comes back would go on with the answer to a question of long ago.
 */
const GIVE_UP_MS = 2_500

/**
 * Brings each turn's speech to the speaker.
 *
 * INVARIANTS. After `cut()` nothing of an older turn is written. Every opened turn is reported exactly once, whatever the
 * speaker does: refuse, hang, throw, lie. The queue is bounded. `cut()` is synchronous, and its first act is the flush.
 */
export class Playout {
  readonly #speaker: Speaker
  readonly #clock: Clock
  readonly #rate: number
  readonly #leadMs: number
  readonly #listener: PlayoutListener
  #lines: Line[] = []
  #waiting: Chunk[] = []
  #generation = new AbortController()
  #pumping = false
  #volume: number
  #orphans = 0
  #lastProgressAt: number
  #lastHeard = 0

  /** `rate`: Hz of the speech that it is given. */
  constructor(speaker: Speaker, clock: Clock, rate: number, settings: PlayoutSettings, listener: PlayoutListener) {
    this.#speaker = speaker
    this.#clock = clock
    this.#rate = rate
    this.#leadMs = settings.leadMs
    this.#volume = settings.volume
    this.#listener = listener
    this.#lastProgressAt = clock.now()
  }

  /** 0 to 1; holds for what is played from now on. */
  get volume(): number {
    return this.#volume
  }

  set volume(value: number) {
    this.#volume = Math.min(1, Math.max(0, value))
  }

  /** True while something is to be heard. */
  get busy(): boolean {
    return this.#lines.length > 0
  }

  /** Speech that belonged to no open turn, in chunks: it was not played. */
  get orphans(): number {
    return this.#orphans
  }

  /** Monotonic ms of the last sound that was heard, or of now while there is none to play. */
  get lastProgressAt(): number {
    return this.busy ? this.#lastProgressAt : this.#clock.now()
  }

  open(turn: number): void {
    const resampler = this.#rate === this.#speaker.rate ? undefined : new Resampler(this.#rate, this.#speaker.rate)
    this.#lines.push({ turn, resampler, base: undefined, spokenMs: 0, droppedChunks: 0, gaps: 0, firstPlayAt: undefined, firstSoundAt: undefined, ended: false, troubled: false, stalled: false, givenUpAt: undefined })
  }

  /** Queues one tick of speech. */
  play(turn: number, speech: Float32Array): void {
    const line = this.#lines.find(l => l.turn === turn)
    if (!line || line.ended) {
      this.#orphans++
      return
    }
    if (line.givenUpAt !== undefined) {
      line.droppedChunks++
      return
    }
    this.#enqueue(line, line.resampler ? line.resampler.process(speech) : speech)
  }

  /** The turn's speech is complete: it is played to its end. */
  end(turn: number): void {
    const line = this.#lines.find(l => l.turn === turn)
    if (!line || line.ended) return
    if (line.resampler && line.givenUpAt === undefined) this.#enqueue(line, line.resampler.flush())
    line.ended = true
    if (line.firstPlayAt === undefined || line.givenUpAt !== undefined) this.#report(line, this.#heard(), false)
    else this.#kick()
  }

  /** Silence at once. Reports all open turns; returns the ms heard of the newest. */
  cut(): number {
    if (!this.busy) return 0
    const flushed = this.#flush()
    this.#newGeneration()
    this.#waiting = []
    let heard = 0
    for (const line of [...this.#lines]) heard = this.#report(line, flushed, true)
    return heard
  }

  /** Looks whether the first sound has come, and whether any comes; called often, because the stamp is exact whenever it is looked at. */
  poll(): void {
    this.#lookForProgress()
    if (this.busy && this.#clock.now() - this.#lastProgressAt > GIVE_UP_MS) this.#giveUp()
    const line = this.#lines.find(l => l.base !== undefined && l.firstSoundAt === undefined)
    if (line) this.#noteFirstSound(line, this.#heard())
  }

  /** What was begun is left as it is; what was not is tried. */
  #giveUp(): void {
    const flushed = this.#flush()
    this.#newGeneration()
    this.#lastProgressAt = this.#clock.now()
    for (const line of this.#lines.filter(l => l.base !== undefined)) {
      line.droppedChunks += this.#waiting.filter(c => c.line === line).length
      this.#waiting = this.#waiting.filter(c => c.line !== line)
      line.givenUpAt = heardOf(line, flushed)
      this.#trouble(line, 'speaker-stalled', `nothing was heard for ${GIVE_UP_MS} ms: the rest of the reply is given up`)
      if (line.ended) this.#report(line, flushed, false)
    }
    this.#kick()
  }

  /** Time without sound counts only while sound waits. */
  #lookForProgress(): void {
    const heard = this.#heard(NaN)
    const idle = this.#waiting.length === 0 && this.#queued() === 0
    if (!idle && heard <= this.#lastHeard) return // a speaker that cannot tell (NaN) is believed
    this.#lastHeard = heard
    this.#lastProgressAt = this.#clock.now()
  }

  #newGeneration(): void {
    this.#generation.abort()
    this.#generation = new AbortController()
    this.#pumping = false
  }

  #enqueue(line: Line, samples: Float32Array): void {
    if (samples.length === 0) return
    this.#lookForProgress()
    line.firstPlayAt ??= this.#clock.now()
    const loud = this.#volume === 1 ? samples : samples.map(s => s * this.#volume)
    this.#waiting.push({ line, samples: loud, ms: (samples.length * 1000) / this.#speaker.rate })
    if (this.#waiting.length > MOST_WAITING) {
      const gone = this.#waiting.shift()
      if (gone) {
        gone.line.droppedChunks++
        this.#trouble(gone.line, 'speaker-slow', 'the speaker takes sound more slowly than time passes; some was left out')
      }
    }
    this.#kick()
  }

  #kick(): void {
    if (this.#pumping) return
    this.#pumping = true
    void this.#pump(this.#generation.signal)
  }

  /** Writes what waits; then plays ended turns out. Never throws. Ends, without another word, when its generation is cut. */
  async #pump(signal: AbortSignal): Promise<void> {
    while (!signal.aborted) {
      const chunk = this.#waiting.shift()
      if (chunk) {
        await this.#write(chunk, signal)
        continue
      }
      const over = this.#lines.find(l => l.ended)
      if (!over) break
      await this.#drain(over, signal)
    }
    if (!signal.aborted) this.#pumping = false
  }

  async #write({ line, samples, ms }: Chunk, signal: AbortSignal): Promise<void> {
    if (line.base === undefined) {
      const wait = (line.firstPlayAt ?? 0) + this.#leadMs - this.#clock.now()
      if (wait > 0) await pause(this.#clock, wait, signal) // cut: the next line returns
      if (signal.aborted) return
      line.base = this.#heard() + this.#queued()
    } else if (!line.stalled && this.#queued(Infinity) <= 0) {
      line.gaps++
      await pause(this.#clock, this.#leadMs, signal) // one hole that is longer, instead of one before each chunk that follows
      if (signal.aborted) return
    }
    line.spokenMs += ms
    const outcome = await bounded(this.#tryWrite(samples, signal), ms + (line.stalled ? 0 : WRITE_LIMIT_MS), this.#clock, signal)
    if (signal.aborted) return
    if (outcome.kind === 'done') line.stalled = false
    if (outcome.kind === 'late') {
      line.stalled = true
      this.#trouble(line, 'speaker-stalled', `the speaker took nothing for ${WRITE_LIMIT_MS} ms`)
    }
    if (outcome.kind === 'failed') this.#trouble(line, 'speaker-failed', describe(outcome.error))
    this.poll()
  }

  async #drain(line: Line, signal: AbortSignal): Promise<void> {
    const outcome = await bounded(this.#tryDrain(signal), this.#queued() + WRITE_LIMIT_MS, this.#clock, signal)
    if (signal.aborted) return
    if (outcome.kind === 'late') this.#trouble(line, 'speaker-stalled', 'the speaker does not come to an end')
    if (outcome.kind === 'failed') this.#trouble(line, 'speaker-failed', describe(outcome.error))
    this.#report(line, this.#heard(), false)
  }

  // The three calls below run inside async functions, so that a speaker that throws is one that rejects.
  async #tryWrite(samples: Float32Array, signal: AbortSignal): Promise<void> {
    await this.#speaker.write(samples, signal)
  }

  async #tryDrain(signal: AbortSignal): Promise<void> {
    await this.#speaker.drain(signal)
  }

  #flush(): number {
    const before = this.#heard()
    this.#lastHeard = 0
    try {
      return known(this.#speaker.flush(), before)
    } catch (error) {
      const line = this.#lines.at(-1)
      if (line) this.#trouble(line, 'speaker-failed', describe(error))
      return before
    }
  }

  /** A speaker that cannot tell has proved nothing. */
  #heard(unknown = 0): number {
    try {
      return known(this.#speaker.heardMs(), unknown)
    } catch {
      return unknown
    }
  }

  #queued(unknown = 0): number {
    try {
      return known(this.#speaker.queuedMs(), unknown)
    } catch {
      return unknown
    }
  }

  #noteFirstSound(line: Line, heardInAll: number): void {
    const heard = heardInAll - (line.base ?? Infinity)
    if (line.firstSoundAt !== undefined || heard <= 0) return
    line.firstSoundAt = this.#clock.now() - heard
    this.#listener.onFirstSound(line.turn, line.firstSoundAt)
  }

  #trouble(line: Line, code: 'speaker-stalled' | 'speaker-failed' | 'speaker-slow', message: string): void {
    if (line.troubled) return
    line.troubled = true
    this.#listener.onTrouble(line.turn, code, message)
  }

  /** The only place where a turn leaves the list, and so the only report of it. */
  #report(line: Line, heardInAll: number, cut: boolean): number {
    const index = this.#lines.indexOf(line)
    if (index < 0) return 0
    this.#noteFirstSound(line, heardInAll)
    this.#lines.splice(index, 1)
    const heardMs = line.givenUpAt ?? heardOf(line, heardInAll)
    const { turn, spokenMs, firstSoundAt, droppedChunks, gaps } = line
    this.#listener.onReport({ turn, spokenMs, heardMs, firstSoundAt, endAt: this.#clock.now(), cut, droppedChunks, gaps })
    return heardMs
  }
}

function heardOf(line: Line, heardInAll: number): number {
  return Math.min(line.spokenMs, Math.max(0, heardInAll - (line.base ?? Infinity)))
}

function known(ms: number, otherwise: number): number {
  return Number.isFinite(ms) && ms >= 0 ? ms : otherwise
}
