import { setTimeout as sleep } from 'node:timers/promises'
import { ParleyError } from '../../base/errors.js'
import { MIC_RATE } from '../../base/frames.js'
import { power, probe, toDb } from './probe.js'
import { defaultOf, listShort, pactl, playInto, recordFrom } from './pulse-tools.js'

/** The sound server's echo canceller: record from `source`, play into `sink`, and the microphone no longer hears us. */
export interface EchoCanceller {
  readonly source: string
  readonly sink: string
  /** The microphone and the speaker behind it. */
  readonly rawSource: string
  readonly module: string
}

export interface EchoFigures {
  /** How much softer the echo is behind the canceller, dB. WebRTC reaches 17 to 45. */
  readonly cancelledDb: number
  /** How loud the bare microphone hears the probe over its own noise, dB. */
  readonly echoOverNoiseDb: number
}

/** Its default gain control would cut the microphone to a third. */
export const WEBRTC = ['aec_method=webrtc', 'rate=16000', 'channels=1', 'use_master_format=0', 'aec_args="analog_gain_control=0 digital_gain_control=0"']

/** The canceller that is set up already, if any. */
export async function findEchoCanceller(): Promise<EchoCanceller | undefined> {
  for (const [module = '', name, args = ''] of await listShort('modules')) {
    if (name !== 'module-echo-cancel') continue
    const said = (key: string): string | undefined => new RegExp(`(?:^|\\s)${key}=("[^"]*"|\\S+)`).exec(args)?.[1]?.replaceAll('"', '')
    const rawSource = said('source_master') ?? (await defaultOf('source'))
    return { module, rawSource, source: said('source_name') ?? `${rawSource}.echo-cancel`, sink: said('sink_name') ?? `${said('sink_master') ?? (await defaultOf('sink'))}.echo-cancel` }
  }
  return undefined
}

/** Finds it, or sets one up between the given devices (the defaults, if none are named); it lasts until the sound server ends. */
export async function setUpEchoCanceller(devices: { readonly source?: string; readonly sink?: string } = {}): Promise<EchoCanceller> {
  const there = await findEchoCanceller()
  if (there) return there
  const rawSource = devices.source ?? (await defaultOf('source'))
  const sink = devices.sink ?? (await defaultOf('sink'))
  if (rawSource.endsWith('.monitor')) throw new ParleyError('device-missing', `there is no microphone: the only source is ${rawSource}`)
  const names = ['source_name=parley_mic', 'sink_name=parley_speaker']
  const module = await pactl('load-module', 'module-echo-cancel', `source_master=${rawSource}`, `sink_master=${sink}`, ...names, ...WEBRTC)
  return { module: module.trim(), rawSource, source: 'parley_mic', sink: 'parley_speaker' }
}

/** Plays a probe of `seconds` (it is heard!) and compares the microphone before and behind the canceller, in the probe's second half. */
export async function measureEchoCanceller(canceller: EchoCanceller, seconds = 4): Promise<EchoFigures> {
  const raw = recordFrom(canceller.rawSource)
  const clean = recordFrom(canceller.source)
  await sleep(600) // the room's own noise
  await playInto(canceller.sink, probe(seconds))
  const half = Math.floor((seconds * MIC_RATE) / 2)
  const [before, after] = await Promise.all([raw.stop(), clean.stop()])
  if (before.length < half || after.length < half) throw new ParleyError('device-lost', 'the microphone gave no sound while the canceller was measured')
  const noise = toDb(power(before.subarray(0, MIC_RATE / 4)))
  const heard = toDb(power(before.subarray(-half)))
  if (heard - noise < 10) throw new ParleyError('echo-unheard', `the microphone hears the speaker only ${(heard - noise).toFixed(1)} dB above its noise`, { hint: 'Turn the speaker up, or there is nothing to cancel.' })
  return { cancelledDb: heard - toDb(power(after.subarray(-half))), echoOverNoiseDb: heard - noise }
}
