import type { Bundle } from '../../models/bundle/index.js'
import { goldenSound } from '../../models/engine/index.js'
import type { OmniSession } from '../../models/session.js'

/** An answer is over by then, s after the recording. */
const ANSWER_S = 3

/** The bundle's golden utterance and the time of its answer, tick by tick. */
export async function* goldenTicks(bundle: Bundle, { inputRate, tickSamples }: Pick<OmniSession, 'inputRate' | 'tickSamples'>): AsyncGenerator<Float32Array> {
  const sound = await goldenSound(bundle, inputRate)
  for (let from = 0; from < sound.length + ANSWER_S * inputRate; from += tickSamples) {
    const audio = new Float32Array(tickSamples)
    audio.set(sound.subarray(from, from + tickSamples))
    yield audio
  }
}
