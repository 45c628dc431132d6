/** How often it looks: a stuck child is found at most this much later, ms. */
const LOOK_MS = 250
/** An idle child is asked for a sign of life this often, ms. */
const IDLE_PING_MS = 1_000

export interface Watched {
  readonly stuckMs: number
  /** Whether the child owes an answer. */
  owes(): boolean
  ping(): void
  kill(reason: string): void
}

/** Kills a child that owes an answer and makes no progress. Fed by what the child says, never by its own timer. */
export class Watchdog {
  readonly #watched: Watched
  #timer: NodeJS.Timeout | undefined
  #last = 0
  #startupMs: number | undefined

  constructor(watched: Watched) {
    this.#watched = watched
  }

  /** The child is loading, and may be silent for `ms`. */
  startup(ms: number): void {
    this.#startupMs = ms
    this.#begin()
  }

  /** The child is ready: from here it must answer. */
  running(): void {
    this.#startupMs = undefined
    this.#begin()
  }

  progress(): void {
    this.#last = performance.now()
  }

  stop(): void {
    clearInterval(this.#timer)
    this.#timer = undefined
  }

  #begin(): void {
    this.progress()
    this.#timer ??= setInterval(() => this.#look(), LOOK_MS).unref()
  }

  #look(): void {
    const silent = performance.now() - this.#last
    if (this.#startupMs === undefined && !this.#watched.owes()) {
      if (silent < IDLE_PING_MS) return
      this.progress() // the question starts the time in which it must answer
      return this.#watched.ping()
    }
    if (silent <= (this.#startupMs ?? this.#watched.stuckMs)) return
    // if it was our own process that stood still, the answers lie unread in the pipe: read them first
    setImmediate(() => setImmediate(() => {
      const now = performance.now() - this.#last
      if (this.#timer && now >= silent) this.#watched.kill(`it gave no sign of life for ${Math.round(now)} ms`)
    }))
  }
}
