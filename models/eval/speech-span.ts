/** Frame of the energy, ms. */
const FRAME_MS = 20
/** Speech is what lies within this of the loudest frame, dB. */
const RANGE_DB = 35
/** And this above the room, dB: a room at -54 dB under quiet speech would else be speech to the end of the file. White noise in 20 ms stays within 1 dB. */
const OVER_ROOM_DB = 6

export interface SpeechSpan {
  /** Ms from the first sample: begin of the first frame of speech, end of the last. */
  readonly beginMs: number
  readonly endMs: number
  /** Root mean square of the room: the frame that a tenth of all frames stay below. */
  readonly room: number
}

/** Where somebody speaks in a recording with at least a tenth of rest; undefined when it is all zeros. */
export function speechSpan(samples: Float32Array, rate: number): SpeechSpan | undefined {
  const size = Math.round((rate * FRAME_MS) / 1_000)
  const energies = Float64Array.from({ length: Math.ceil(samples.length / size) }, (_, i) => energyOf(samples.subarray(i * size, (i + 1) * size)))
  const peak = energies.reduce((a, b) => Math.max(a, b), 0)
  if (peak === 0) return undefined
  const room = Float64Array.from(energies).sort()[Math.floor(energies.length / 10)] as number
  const least = Math.min(peak, Math.max(peak * 10 ** (-RANGE_DB / 10), room * 10 ** (OVER_ROOM_DB / 10)))
  return {
    beginMs: energies.findIndex(e => e >= least) * FRAME_MS,
    endMs: Math.min((energies.findLastIndex(e => e >= least) + 1) * FRAME_MS, (samples.length / rate) * 1_000),
    room: Math.sqrt(room),
  }
}

function energyOf(frame: Float32Array): number {
  let sum = 0
  for (const x of frame) sum += x * x
  return sum / frame.length
}
