import type { ToolCall } from '../../base/frames.js'
import { resample } from '../../base/resample.js'
import { readWav } from '../../base/wav.js'
import type { Bundle } from '../bundle/load.js'
import type { OmniSession } from '../session.js'

export interface GoldenResult {
  readonly passed: boolean
  /** What was expected and did not come. */
  readonly missing: readonly string[]
  readonly text: string
  readonly calls: readonly ToolCall[]
  /** Ms of model time from the end of the recording to the first sound; negative when it came before. */
  readonly onsetMs: number | undefined
}

/** Plays the bundle's golden utterance to a fresh session, as fast as it goes, until the answer holds what is expected. Leaves the session reset and without facts. */
export async function runGolden(session: OmniSession, bundle: Bundle, signal?: AbortSignal): Promise<GoldenResult> {
  const { golden } = bundle.manifest
  const samples = await goldenSound(bundle, session.inputRate)
  const tickMs = (session.tickSamples / session.inputRate) * 1_000
  const spoken = Math.ceil(samples.length / session.tickSamples)
  const last = spoken + Math.ceil(golden.withinMs / tickMs)
  const calls: ToolCall[] = []
  let text = ''
  let onset: number | undefined
  await session.setFacts(golden.facts)
  for (let t = 0; t < last; t++) {
    const audio = new Float32Array(session.tickSamples)
    audio.set(samples.subarray(t * session.tickSamples, (t + 1) * session.tickSamples))
    const said = await session.step({ at: t * tickMs, audio }, signal)
    text += said.text
    if (said.call) calls.push(said.call)
    if (said.speech && onset === undefined) onset = (t - spoken) * tickMs
    if (t >= spoken && (said.mark === 'end' || (onset !== undefined && missingIn(golden.expect, text, calls).length === 0))) break
  }
  await session.setFacts([])
  await session.reset()
  const missing = missingIn(golden.expect, text, calls)
  return { passed: missing.length === 0, missing, text: text.trim(), calls, onsetMs: onset }
}

function missingIn({ words, tool }: Bundle['manifest']['golden']['expect'], text: string, calls: readonly ToolCall[]): string[] {
  const said = new Set(text.trim().split(' '))
  const missing = words.filter(word => !said.has(word)).map(word => `the word ${word}`)
  if (tool && !calls.some(call => call.name === tool.name && sameArgs(call.args, tool.args))) missing.push(`the call ${tool.name} ${JSON.stringify(tool.args)}`)
  return missing
}

function sameArgs(a: ToolCall['args'], b: ToolCall['args']): boolean {
  return Object.keys(a).length === Object.keys(b).length && Object.keys(b).every(name => a[name] === b[name])
}

/** The recording at `rate` Hz. */
export async function goldenSound(bundle: Bundle, rate: number): Promise<Float32Array> {
  const sound = await readWav(bundle.path(bundle.manifest.golden.wav))
  return sound.rate === rate ? sound.samples : resample(sound.samples, sound.rate, rate)
}
