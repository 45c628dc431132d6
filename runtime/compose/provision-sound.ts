import { ParleyError, systemCode } from '../../base/errors.js'
import { MIC_RATE } from '../../base/frames.js'
import type { Host, Microphone } from '../../drivers/contract.js'
import { measureBareEcho } from '../../drivers/echo/bare-echo.js'
import { findEchoCanceller, measureEchoCanceller } from '../../drivers/echo/echo-cancel.js'
import type { Echo, SoundChecks } from '../../deploy/provision/checks.js'
import { loadBundle } from '../../models/bundle/index.js'
import { openSession, runGolden } from '../../models/engine/index.js'
import type { Config } from '../config/schema.js'
import { levelDb } from '../conversation/speech-meter.js'
import { quantile } from '../conversation/statistics.js'
import { engineOptions } from './engine-options.js'
import { openMicrophone, openSpeaker } from './open-sound.js'

/** How long the room is listened to before the voice, ms. */
const ROOM_MS = 1_000
/** No prompt is longer, ticks of 80 ms: 20 s. */
const MOST_TICKS = 250

export interface Setup {
  readonly config: Config
  /** The folder of the bundle that the device will talk with. */
  readonly bundle: string
}

/** What `parley provision` tries with sound, on the device's own drivers and its own model. `setup` is read when it is asked for: provision writes it. */
export class ProvisionSound implements SoundChecks {
  readonly #setup: () => Promise<Setup>
  readonly #host: Host
  #volume = 0.6

  constructor(setup: () => Promise<Setup>, host: Host) {
    this.#setup = setup
    this.#host = host
  }

  async setVolume(percent: number): Promise<void> {
    this.#volume = percent / 100
  }

  async speakAndListen(text: string): Promise<{ noiseDb: number; heardDb: number }> {
    const { config, bundle } = await this.#setup()
    const { rate, samples } = await this.#speech(text, config, bundle)
    await using microphone = await openMicrophone(config.microphone, this.#host)
    await using speaker = await openSpeaker(config.speaker, rate, this.#host)
    const levels: number[] = []
    const listening = listen(microphone, levels)
    await this.#host.clock.sleep(ROOM_MS, this.#host.signal)
    const room = levels.splice(0)
    await speaker.write(samples.map(s => s * this.#volume), this.#host.signal)
    await speaker.drain(this.#host.signal)
    await microphone[Symbol.asyncDispose]()
    await listening
    if (room.length === 0 || levels.length === 0) throw new ParleyError('device-lost', `${microphone.name} gave no sound`)
    // Between words it is quiet: the loudest tenth is the voice.
    return { noiseDb: quantile(room, 0.5) ?? -120, heardDb: quantile(levels, 0.9) ?? -120 }
  }

  async echo(): Promise<Echo | undefined> {
    const canceller = await findEchoCanceller().catch(() => undefined) // no pactl, no server: no canceller of theirs
    if (canceller) {
      try {
        return { softerDb: (await measureEchoCanceller(canceller)).cancelledDb, heard: true, behind: 'canceller' }
      } catch (error) {
        // Nothing of us comes back to be cancelled: a speakerphone with a canceller of its own, say.
        if (systemCode(error) !== 'echo-unheard') throw error
      }
    }
    const { config } = await this.#setup()
    await using microphone = await openMicrophone(config.microphone, this.#host)
    await using speaker = await openSpeaker(config.speaker, MIC_RATE, this.#host)
    const seen = await measureBareEcho(microphone, speaker, this.#volume, this.#host)
    return seen && { ...seen, behind: 'microphone' }
  }

  async golden(): Promise<{ passed: boolean; firstSoundMs?: number; detail?: string }> {
    const { config, bundle: folder } = await this.#setup()
    const bundle = await loadBundle(folder)
    await using session = await openSession(bundle, { ...(await engineOptions(config, folder)), selfTest: 'never' })
    const { passed, missing, onsetMs } = await runGolden(session, bundle, this.#host.signal)
    return { passed, ...(onsetMs === undefined ? {} : { firstSoundMs: onsetMs }), ...(passed ? {} : { detail: `missing: ${missing.join(', ')}` }) }
  }

  /** The words in the model's own voice: what a person will hear from this device. */
  async #speech(text: string, config: Config, bundle: string): Promise<{ rate: number; samples: Float32Array }> {
    await using session = await openSession(bundle, { ...(await engineOptions(config, bundle)), selfTest: 'never' })
    session.tell(text, 'say')
    const pieces: Float32Array[] = []
    let ended = false
    for (let tick = 0; tick < MOST_TICKS; tick++) {
      const said = await session.step({ at: tick * 80, audio: new Float32Array(session.tickSamples) }, this.#host.signal)
      if (said.speech) pieces.push(said.speech)
      ended ||= said.mark === 'end' || said.mark === 'cut'
      if (ended && !said.speech) break
    }
    if (pieces.length === 0) throw new ParleyError('model-mute', 'the model gave no sound for the prompt', { hint: 'parley doctor' })
    return { rate: session.outputRate, samples: Float32Array.from(pieces.flatMap(p => [...p])) }
  }
}

async function listen(microphone: Microphone, levels: number[]): Promise<void> {
  for await (const frame of microphone.frames()) levels.push(levelDb(frame.samples))
}
