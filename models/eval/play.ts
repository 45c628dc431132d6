import type { OmniSession, Said } from '../session.js'
import { roomSound } from './sounds.js'

/** After the recording: how long an answer may take to begin, 3 s (the bar is 0.6 s). */
const PATIENCE_MS = 3_000
/** And to be over, 15 s: the longest reply of the domain is 7 s. */
const LONGEST_MS = 15_000
/** After a reply: 0.5 s in which the model may add something that it should not. */
const AFTER_MS = 480

export interface Playing {
  readonly facts: readonly (readonly [key: string, value: string])[]
  readonly samples: Float32Array
  /** Root mean square of the room that goes on after the samples. */
  readonly room: number
  /** Stop with the last sample, whatever the model does. */
  readonly bare?: boolean
}

export function tickMsOf(session: OmniSession): number {
  return (session.tickSamples / session.inputRate) * 1_000
}

/** Plays sound to a session that knows only these facts, and then its room until the model has had its say. One answer a tick. */
export async function play(session: OmniSession, { facts, samples, room, bare }: Playing, signal?: AbortSignal): Promise<Said[]> {
  const tickMs = tickMsOf(session)
  const { tickSamples } = session
  const ticks = Math.ceil(samples.length / tickSamples)
  const next = roomSound(room)
  const said: Said[] = []
  const end = new Ending(tickMs)
  await session.reset()
  await session.setFacts(facts.map(([key, value]) => `${key}: ${value}`))
  for (let t = 0; t < ticks || !(bare || end.isOver((t - ticks) * tickMs)); t++) {
    const audio = samples.slice(t * tickSamples, (t + 1) * tickSamples)
    const whole = audio.length === tickSamples ? audio : new Float32Array(tickSamples)
    if (whole !== audio) {
      whole.set(audio)
      for (let i = audio.length; i < tickSamples; i++) whole[i] = next()
    }
    const answer = await session.step({ at: t * tickMs, audio: whole }, signal)
    end.take(answer)
    said.push(answer)
  }
  return said
}

/** Decides when a model has had its say. */
class Ending {
  readonly #tickMs: number
  #open = false
  #replied = false
  #restMs = 0

  constructor(tickMs: number) {
    this.#tickMs = tickMs
  }

  take({ mark, speech, text }: Said): void {
    if (mark) this.#open = mark === 'begin'
    this.#replied ||= mark !== undefined
    this.#restMs = this.#open || speech || text ? 0 : this.#restMs + this.#tickMs
  }

  isOver(sinceMs: number): boolean {
    if (sinceMs >= LONGEST_MS) return true
    return this.#replied ? this.#restMs >= AFTER_MS : sinceMs >= PATIENCE_MS
  }
}
