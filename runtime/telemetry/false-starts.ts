import type { TurnRecord } from './source.js'

/** An answer to what happened begins within a second; five are sure, ms. */
const ANSWER_MS = 5_000

interface Event {
  readonly at: number
  readonly type: string
}

/** Counts replies that nobody asked for: no speech, no typed turn and no reading came before their first sound. */
export class FalseStarts {
  #heardAt = -Infinity
  count = 0

  take(event: Event & Partial<Pick<TurnRecord, 'firstSoundMs'>> & { readonly firstSound?: number | null }): void {
    if (event.type === 'speech-start' || event.type === 'speech-end' || event.type === 'reading') this.#heardAt = event.at
    if (event.type !== 'turn' || event.firstSoundMs !== null || event.firstSound == null) return
    if (event.firstSound - this.#heardAt > ANSWER_MS) this.count++
  }
}
