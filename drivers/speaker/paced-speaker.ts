import type { Health, Host, PlaybackListener, Speaker } from '../contract.js'
import { childAbort } from '../../base/abort.js'
import { ParleyError } from '../../base/errors.js'
import { PlayoutLine } from './playout-line.js'
import type { Sink } from './sink.js'

/** One chunk. */
const CHUNK_MS = 20
/** How early a chunk may go to the device: what a flush has to take back, and what a late timer may cost without a gap. */
const AHEAD_MS = 80
/** The credit window: a writer is at most this far ahead of what is heard. */
const WINDOW_MS = 200
/** A device takes a chunk in a few ms; a second without is one that hangs. */
const HANG_MS = 1_000

interface Turn {
  readonly line: PlayoutLine
  readonly chunks: Float32Array[]
  readonly over: AbortController
  pumping: boolean
}

/**
 * Every speaker: cuts what is written into chunks, sends them to its sink when they are due, and knows what was heard.
 *
 * INVARIANTS. `queuedMs()` ≤ 200. A flush ends its turn: no chunk of an older turn is sent after it, its waiting writers
 * and drains resolve, and its heard ms are reported by that flush only.
 */
export class PacedSpeaker implements Speaker {
  readonly kind = 'speaker'
  readonly name: string
  readonly rate: number
  readonly #host: Host
  readonly #sink: Sink
  readonly #closing: AbortController
  readonly #listeners = new Set<PlaybackListener>()
  #turn: Turn
  #writing: Promise<void> = Promise.resolve()
  #writers = 0
  /** Resolves when the device is let go of. */
  #released: Promise<void> | undefined
  #disposed = false
  #lastTakenAt: number
  #flushes = 0
  #hangs = 0
  #lostMs = 0

  constructor(name: string, rate: number, sink: Sink, host: Host) {
    this.name = name
    this.rate = rate
    this.#sink = sink
    this.#host = host
    this.#closing = childAbort(host.signal)
    this.#turn = this.#newTurn()
    this.#lastTakenAt = host.clock.now()
    sink.onGone = () => this.#turn.line.deviceGone(host.clock.now())
    this.#closing.signal.addEventListener('abort', () => {
      this.#released = this.#release()
      this.#released.catch(() => {}) // whoever closes it is told
    }, { once: true })
  }

  tap(listener: PlaybackListener): () => void {
    this.#listeners.add(listener)
    return () => this.#listeners.delete(listener)
  }

  /** Writes wait for each other. Rejects with the signal's reason, or `closed`; what a flush overtook resolves. */
  write(samples: Float32Array, signal?: AbortSignal): Promise<void> {
    const turn = this.#turn
    // Alone, it begins within this call: what there is room for is sent at the time of the call, not of a later tick.
    const mine = this.#writers === 0 ? this.#enqueue(turn, samples, signal) : this.#writing.then(() => this.#enqueue(turn, samples, signal))
    this.#writers++
    const done = (): void => { this.#writers-- }
    this.#writing = mine.then(done, done) // the caller of `mine` gets the error; the next writer goes on
    return mine
  }

  flush(): number {
    const now = this.#host.clock.now()
    const turn = this.#turn
    const heard = turn.line.heardMs(now)
    this.#lostMs += turn.line.lostMs
    this.#turn = this.#newTurn()
    turn.over.abort()
    if (!this.#closing.signal.aborted) this.#sink.silence(now)
    for (const listener of this.#listeners) listener.cut(now)
    this.#flushes++
    return heard
  }

  heardMs(): number {
    return this.#turn.line.heardMs(this.#host.clock.now())
  }

  queuedMs(): number {
    return this.#turn.line.queuedMs(this.#host.clock.now())
  }

  async drain(signal?: AbortSignal): Promise<void> {
    const turn = this.#turn
    await this.#writing
    while (!turn.over.signal.aborted && turn.line.queuedMs(this.#host.clock.now()) > 0) {
      // Rarely more than one round: only a device that is late makes the rest longer than it seemed.
      await this.#sleep(Math.max(2, Math.min(50, turn.line.queuedMs(this.#host.clock.now()))), turn, signal)
    }
  }

  health(): Health {
    const now = this.#host.clock.now()
    const stuck = this.#turn.line.untaken > 0 && now - this.#lastTakenAt > HANG_MS
    return {
      ok: !stuck,
      lastProgressAt: this.#lastTakenAt,
      ...(stuck ? { detail: `${this.name} takes no sound` } : {}),
      counters: { flushes: this.#flushes, hangs: this.#hangs, lostMs: Math.round(this.#lostMs + this.#turn.line.lostMs), ...this.#sink.counters() },
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    const first = !this.#disposed
    this.#disposed = true
    this.#closing.abort()
    if (first) this.flush()
    await (this.#released ??= this.#release())
  }

  /** Silent at once; what was heard until now can still be asked for. */
  async #release(): Promise<void> {
    const now = this.#host.clock.now()
    this.#turn.line.deviceGone(now)
    this.#sink.silence(now)
    for (const listener of this.#listeners) listener.cut(now)
    await this.#sink.close(now)
  }

  #newTurn(): Turn {
    return { line: new PlayoutLine(), chunks: [], over: childAbort(this.#closing?.signal), pumping: false }
  }

  async #enqueue(turn: Turn, samples: Float32Array, signal: AbortSignal | undefined): Promise<void> {
    const size = Math.max(1, Math.round((this.rate * CHUNK_MS) / 1000))
    for (let at = 0; at < samples.length; at += size) {
      if (this.#closing.signal.aborted) throw new ParleyError('closed', `${this.name} is closed`)
      const chunk = samples.slice(at, at + size)
      const ms = (chunk.length * 1000) / this.rate
      for (;;) {
        signal?.throwIfAborted()
        if (turn.over.signal.aborted) return
        const excess = turn.line.queuedMs(this.#host.clock.now()) + ms - WINDOW_MS
        if (excess <= 0) break
        await this.#sleep(Math.max(2, excess), turn, signal)
      }
      turn.line.written(ms)
      turn.chunks.push(chunk)
      if (!turn.pumping) void this.#pump(turn)
    }
  }

  /** Sends the turn's chunks as they are due, until the device has taken them all or is given up. Never throws. */
  async #pump(turn: Turn): Promise<void> {
    turn.pumping = true
    const { clock } = this.#host
    let waitedSince = clock.now()
    while ((turn.chunks.length || turn.line.untaken) && !turn.over.signal.aborted) {
      const now = clock.now()
      const last = turn.chunks.length === 0 // a device can hang on an answer's last sound too
      const early = turn.line.end - now - (AHEAD_MS - CHUNK_MS)
      const full = last || turn.line.untaken >= AHEAD_MS / CHUNK_MS
      if (full && now - Math.max(waitedSince, this.#lastTakenAt) > HANG_MS) {
        this.#hangs++
        this.#host.log.warn({ driver: this.name }, 'speaker takes no sound: restarted')
        turn.line.loseUntaken()
        this.#sink.restart()
        waitedSince = now
      } else if (full || early > 0) {
        if (!full) waitedSince = now
        await this.#sleep(full ? 5 : early, turn)
      } else {
        this.#send(turn, turn.chunks.shift()!, now)
      }
    }
    turn.pumping = false
  }

  #send(turn: Turn, chunk: Float32Array, now: number): void {
    const place = turn.line.sent(now)
    for (const listener of this.#listeners) listener.played({ at: place.startsAt, rate: this.rate, samples: chunk })
    const taken = (): void => {
      this.#lastTakenAt = this.#host.clock.now()
      turn.line.taken(place, this.#lastTakenAt)
    }
    try {
      const sent = this.#sink.send(chunk, place.startsAt)
      if (sent) sent.then(taken, () => turn.line.lost(place))
      else taken()
    } catch {
      turn.line.lost(place)
    }
  }

  /** Sleeps until `ms` have passed or the turn is over; rejects only with the reason of `signal`. */
  async #sleep(ms: number, turn: Turn, signal?: AbortSignal): Promise<void> {
    const either = childAbort(turn.over.signal)
    signal?.addEventListener('abort', () => either.abort(), { once: true, signal: either.signal })
    if (signal?.aborted) either.abort()
    try {
      await this.#host.clock.sleep(ms, either.signal)
    } catch (error) {
      if (!either.signal.aborted) throw error
    } finally {
      either.abort() // lets go of both signals
    }
    signal?.throwIfAborted()
  }
}
