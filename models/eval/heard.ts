import type { ToolCall } from '../../base/frames.js'
import type { Said } from '../session.js'

/** Silent ticks that end a reply; one alone is a stop of the voice. */
const SILENT_TICKS = 3

/** All words and calls of the ticks. */
export function wordsOf(said: readonly Said[]): string {
  return said.map(s => s.text).join('').trim()
}

export function callsOf(said: readonly Said[]): ToolCall[] {
  return said.flatMap(s => s.call ?? [])
}

/** A tick's sound is played when the tick is over: of the first tick with speech, ms; undefined when there is none. */
export function firstSoundMs(said: readonly Said[], tickMs: number): number | undefined {
  const first = said.findIndex(s => s.speech)
  return first < 0 ? undefined : (first + 1) * tickMs
}

/** The tick in which the sound of the reply that sounds at tick `from` is over: what a tick makes is played in the next. */
export function soundEndTick(said: readonly Said[], from: number): number {
  return lastSoundTick(said, from) + 2
}

/** The reply that begins at tick `from` or later, with all that comes behind it; empty when none does. */
export function replyFrom(said: readonly Said[], from: number): readonly Said[] {
  const begin = said.findIndex((s, t) => t >= from && s.mark === 'begin')
  return begin < 0 ? [] : said.slice(begin)
}

/** The last tick with speech of the reply that sounds at tick `from`; `from - 1` when none does. */
export function lastSoundTick(said: readonly Said[], from: number): number {
  let last = from - 1
  for (let t = from; t < said.length && t - last <= SILENT_TICKS; t++) {
    const tick = said[t] as Said
    if (t > from && tick.mark === 'begin') break
    if (tick.speech) last = t
  }
  return last
}

/** How fast it speaks: letters and figures of its words a second of speech; undefined when it says nothing. */
export function paceOf(said: readonly Said[], tickMs: number): number | undefined {
  const seconds = (said.filter(s => s.speech).length * tickMs) / 1_000
  return seconds === 0 ? undefined : wordsOf(said).replaceAll(' ', '').length / seconds
}

/** The replies that began. */
export function countReplies(said: readonly Said[]): number {
  return said.filter(s => s.mark === 'begin').length
}

/** From the first to the last tick of speech; stops of the voice are zeros. */
export function soundOf(said: readonly Said[]): Float32Array {
  const first = said.findIndex(s => s.speech)
  const last = said.findLastIndex(s => s.speech)
  const size = said[first]?.speech?.length ?? 0
  const sound = new Float32Array(first < 0 ? 0 : (last - first + 1) * size)
  for (let t = first; t >= 0 && t <= last; t++) sound.set(said[t]?.speech ?? [], (t - first) * size)
  return sound
}
