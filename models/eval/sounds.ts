import { resample } from '../../base/resample.js'
import { readWav } from '../../base/wav.js'
import { Random } from '../engine/random.js'
import { speechSpan, type SpeechSpan } from './speech-span.js'

/** What a person says, as the microphone gives it. */
export interface Utterance {
  readonly samples: Float32Array
  readonly span: SpeechSpan
}

/** Reads a recording at the model's rate. One without any sound has its speech at 0. */
export async function readUtterance(path: string, rate: number): Promise<Utterance> {
  const sound = await readWav(path)
  const samples = sound.rate === rate ? sound.samples : resample(sound.samples, sound.rate, rate)
  return { samples, span: speechSpan(samples, rate) ?? { beginMs: 0, endMs: 0, room: 0 } }
}

/** The sound of a room in which nobody speaks, white, of this root mean square; always the same. A room does not fall still when a recording ends. */
export function roomSound(room: number): () => number {
  const random = new Random(12)
  const amplitude = room * Math.sqrt(3)
  return () => (random.next() * 2 - 1) * amplitude
}

/** `first`, then its room, with the speech of `second` beginning at `atMs`. */
export function spokenOver(first: Utterance, second: Utterance, atMs: number, rate: number): Float32Array {
  const from = Math.round((second.span.beginMs * rate) / 1_000)
  const at = Math.round((atMs * rate) / 1_000)
  const speech = second.samples.subarray(from)
  const mixed = new Float32Array(Math.max(first.samples.length, at + speech.length))
  mixed.set(first.samples)
  const room = roomSound(first.span.room)
  for (let i = first.samples.length; i < mixed.length; i++) mixed[i] = room()
  for (let i = 0; i < speech.length; i++) mixed[at + i] = Math.max(-1, Math.min(1, (mixed[at + i] as number) + (speech[i] as number)))
  return mixed
}
