import type { Tokenizer } from '../tokenizer/tokenizer.js'
import type { StepTokens } from './step-spec.js'

/** A minute of text at one token a tick. When more waits, the oldest line that was not begun is dropped. */
const MAX_WAITING = 750

/** What the model is told: something that happened, a person's typed turn. */
export type Told = 'event' | 'typed'
/** `say`: words that the model says as they are; it does not read them. */
export type Telling = Told | 'say'

/** What waits to be read by the model, a token a tick: readings and events, typed turns. */
export class TextChannel {
  readonly #tokenizer: Tokenizer
  readonly #open: Record<Told, number>
  readonly #end: number
  #lines: number[][] = []
  #next = 0
  #waiting = 0
  #dropped = 0
  #finished = 0

  constructor(tokenizer: Tokenizer, tokens: StepTokens) {
    this.#tokenizer = tokenizer
    this.#open = { event: tokenizer.id(tokens.event) ?? 0, typed: tokenizer.id(tokens.typed) ?? 0 }
    this.#end = tokenizer.id(tokens.end) ?? 0
  }

  /** Lines that were lost because too many waited. */
  get dropped(): number {
    return this.#dropped
  }

  /** Lines that are over: read to their end, or dropped. The parent sends the others again after a crash. */
  get finished(): number {
    return this.#finished
  }

  get waiting(): number {
    return this.#waiting
  }

  tell(line: string, kind: Told): void {
    const ids = [this.#open[kind], ...this.#tokenizer.encode(line).slice(0, MAX_WAITING - 2), this.#end]
    this.#lines.push(ids)
    this.#waiting += ids.length
    while (this.#waiting > MAX_WAITING && this.#lines.length > 1) {
      const oldest = this.#next > 0 ? 1 : 0 // a line that the model has begun to read is read to its end
      const [gone] = this.#lines.splice(oldest, 1)
      this.#waiting -= gone?.length ?? 0
      this.#dropped++
      this.#finished++
    }
  }

  /** The token of this tick; 0 when nothing waits. */
  take(): number {
    const line = this.#lines[0]
    if (!line) return 0
    const id = line[this.#next++] as number
    this.#waiting--
    if (this.#next === line.length) {
      this.#lines.shift()
      this.#next = 0
      this.#finished++
    }
    return id
  }

  /** Forgets what waits: those lines are over. */
  clear(): void {
    this.#finished += this.#lines.length
    this.#lines = []
    this.#next = 0
    this.#waiting = 0
  }
}
