import { MIC_RATE } from '../../base/frames.js'
import type { Host, Microphone, Speaker } from '../contract.js'
import { power, probe, toDb } from './probe.js'

/** How long the room is listened to before the probe, ms. */
const ROOM_MS = 1_000
/** Below this a microphone gives zeros, dB of full scale. */
const SILENT_DB = -90
/** So far over the room's noise the probe is heard, as a factor of the power: 3 dB. */
const HEARD = 2

export interface BareEcho {
  /** How much softer our own sound comes back than it was played, dB; below zero it comes back louder. */
  readonly softerDb: number
  /** False: it is not heard over the room, and is softer by `softerDb` or more. */
  readonly heard: boolean
}

/**
 * Plays a probe of `seconds` (it is heard!) at `volume` (0 to 1) and compares what the microphone hears with what was played, in
 * the probe's second half: a canceller inside the device has learnt by then. Undefined: the microphone gives digital silence.
 */
export async function measureBareEcho(microphone: Microphone, speaker: Speaker, volume: number, { clock, signal }: Pick<Host, 'clock' | 'signal'>, seconds = 4): Promise<BareEcho | undefined> {
  const room: number[] = []
  const during: number[] = []
  let from = Infinity
  let until = Infinity
  const listening = (async () => {
    for await (const { at, samples } of microphone.frames()) {
      if (from === Infinity) room.push(power(samples))
      else if (at >= from && at < until) during.push(power(samples))
    }
  })()
  await clock.sleep(ROOM_MS, signal)
  const samples = probe(seconds).map(s => s * volume)
  const half = (seconds * 1000) / 2
  from = clock.now() + half
  until = from + half
  await speaker.write(samples, signal)
  await speaker.drain(signal)
  await microphone[Symbol.asyncDispose]()
  await listening
  const [noise, heard] = [mean(room), mean(during)]
  if (toDb(heard) < SILENT_DB) return undefined
  const played = toDb(power(samples.subarray(-(half * MIC_RATE) / 1000)))
  // What the room alone gives is no echo.
  return heard < HEARD * noise ? { softerDb: played - toDb(heard), heard: false } : { softerDb: played - toDb(heard - noise), heard: true }
}

const mean = (values: readonly number[]): number => values.reduce((a, b) => a + b, 0) / Math.max(1, values.length)
