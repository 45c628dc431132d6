interface Chunk {
  startsAt: number
  ms: number
  state: 'sent' | 'taken' | 'lost'
}

/**
 * What of one utterance was heard: per chunk the smaller of what the device took and what time allows.
 * One line lives from a flush to the next.
 */
export class PlayoutLine {
  readonly #open: Chunk[] = []
  /** Lengths of what was written and not sent. */
  readonly #unsent: number[] = []
  #heardBefore = 0
  #lostMs = 0
  /** Monotonic ms at which all that was sent will have sounded. */
  #end = -Infinity
  /** The end of what the device is known to have. */
  #takenEnd = -Infinity

  get lostMs(): number {
    return this.#lostMs
  }

  get end(): number {
    return this.#end
  }

  /** Chunks that the device has not taken yet. */
  get untaken(): number {
    return this.#open.reduce((n, chunk) => n + (chunk.state === 'sent' ? 1 : 0), 0)
  }

  written(ms: number): void {
    this.#unsent.push(ms)
  }

  /** The oldest of what was written goes to the device. */
  sent(now: number): Chunk {
    const ms = this.#unsent.shift() ?? 0
    const chunk: Chunk = { startsAt: Math.max(now, this.#end), ms, state: 'sent' }
    this.#end = chunk.startsAt + ms
    this.#open.push(chunk)
    return chunk
  }

  /** The device has it. Taken late means that it sounds late, and so does all after it. */
  taken(chunk: Chunk, now: number): void {
    if (chunk.state !== 'sent') return
    chunk.state = 'taken'
    chunk.startsAt = Math.max(chunk.startsAt, this.#takenEnd, now > chunk.startsAt ? now : -Infinity)
    this.#takenEnd = chunk.startsAt + chunk.ms
    this.#end = Math.max(this.#end, this.#takenEnd)
  }

  lost(chunk: Chunk): void {
    if (chunk.state !== 'sent') return
    chunk.state = 'lost'
    this.#lostMs += chunk.ms
  }

  /** The device is gone: of what it had taken, only what was over by `now` was heard. */
  deviceGone(now: number): void {
    for (const chunk of this.#open) {
      if (chunk.state !== 'taken') continue
      const heard = heardOf(chunk, now)
      this.#lostMs += chunk.ms - heard
      chunk.ms = heard
    }
    this.#end = Math.min(this.#end, now)
    this.#takenEnd = Math.min(this.#takenEnd, now)
  }

  /** Gives up what the device has not taken. */
  loseUntaken(): void {
    for (const chunk of this.#open) this.lost(chunk)
  }

  heardMs(now: number): number {
    while (this.#open[0] && this.#over(this.#open[0], now)) {
      const chunk = this.#open.shift()
      if (chunk?.state === 'taken') this.#heardBefore += chunk.ms
    }
    let heard = this.#heardBefore
    for (const chunk of this.#open) heard += heardOf(chunk, now)
    return heard
  }

  /**
   * Written, and neither heard nor lost. A sum over what is left, for the difference of three totals is never quite 0 once
   * a device broke off in the middle of a chunk.
   */
  queuedMs(now: number): number {
    let queued = this.#unsent.reduce((sum, ms) => sum + ms, 0)
    for (const chunk of this.#open) if (!this.#over(chunk, now)) queued += chunk.ms - heardOf(chunk, now)
    return queued
  }

  #over(chunk: Chunk, now: number): boolean {
    return chunk.state === 'lost' || (chunk.state === 'taken' && chunk.startsAt + chunk.ms <= now)
  }
}

function heardOf(chunk: Chunk, now: number): number {
  return chunk.state === 'taken' ? Math.min(chunk.ms, Math.max(0, now - chunk.startsAt)) : 0
}
