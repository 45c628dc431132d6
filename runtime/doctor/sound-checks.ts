import { systemClock } from '../../base/clock.js'
import { ParleyError } from '../../base/errors.js'
import type { Seen } from '../../base/finding.js'
import type { Host, Microphone } from '../../drivers/contract.js'
import { findEchoCanceller, measureEchoCanceller } from '../../drivers/echo/echo-cancel.js'
import { openMicrophone, openSpeaker } from '../compose/open-sound.js'
import { hasSoundCard, soundServer, speakerPackageIsBuilt } from '../compose/sound-devices.js'
import type { Config } from '../config/schema.js'
import { levelDb } from '../conversation/speech-meter.js'
import { figure, type Check } from './check.js'

/** How long the microphone is listened to: 50 frames. */
const FRAMES = 50

/** `installed`: on a device, where nothing is built and the installer brings the sound server. */
export function soundChecks(config: Config, host: Host, echo: boolean, installed: boolean): Check[] {
  return [
    {
      what: 'sound system', needed: false, always: true,
      look: async () => {
        const [server, card] = await Promise.all([soundServer(), hasSoundCard()])
        if (server || card) return { state: 'ok', seen: [server, card ? 'a sound card' : ''].filter(Boolean).join(', ') }
        return { state: 'warn', seen: 'neither a sound server answers nor has the kernel a sound card', mend: 'plug in a USB speaker-microphone; as a desktop user: systemctl --user start pulseaudio' }
      },
    },
    {
      what: 'package speaker', needed: false,
      look: async () => (speakerPackageIsBuilt() ? { state: 'ok', seen: 'built' } : unbuiltSpeaker(config.speaker.driver, installed)),
    },
    {
      what: 'microphone', needed: config.microphone.driver !== 'auto',
      look: async () => {
        await using microphone = await openMicrophone(config.microphone, host)
        const { level, gapMs } = await listen(microphone)
        const seen = `${microphone.name}: noise ${figure(level)} dB, longest gap between frames ${figure(gapMs)} ms`
        if (level < -90) return { state: 'warn', seen: `${seen}: digital silence`, mend: 'is it muted? alsamixer, or pactl set-source-mute @DEFAULT_SOURCE@ 0' }
        return level > -30 ? { state: 'warn', seen: `${seen}: very loud`, mend: 'lower its gain: alsamixer, or pactl set-source-volume @DEFAULT_SOURCE@ 60%' } : { state: 'ok', seen }
      },
    },
    {
      what: 'speaker', needed: config.speaker.driver !== 'auto',
      look: async () => {
        if (config.speaker.driver === 'auto' && !(await soundServer()) && !(await hasSoundCard())) return { state: 'warn', seen: 'there is none: what it says is not heard', mend: 'plug in a USB speaker; as a desktop user: systemctl --user start pulseaudio' }
        await using speaker = await openSpeaker(config.speaker, 16_000, host)
        await speaker.write(new Float32Array(16_00))
        await speaker.drain(AbortSignal.timeout(3_000))
        const heard = speaker.heardMs()
        return heard > 50 ? { state: 'ok', seen: `${speaker.name} takes sound (${figure(heard)} ms of 100 ms silence)` } : { state: 'fail', seen: `${speaker.name} took only ${figure(heard)} of 100 ms`, mend: 'another program may hold it: fuser -v /dev/snd/*' }
      },
    },
    {
      what: 'echo cancellation', needed: false,
      look: async () => {
        const { driver } = config.microphone
        if (driver !== 'pulse' && !(driver === 'auto' && (await soundServer()))) return noCanceller(false, installed)
        const canceller = await findEchoCanceller()
        if (!canceller) return noCanceller(true, installed)
        if (!echo) return { state: 'ok', seen: `${canceller.source}; not measured`, mend: `${installed ? 'sudo ' : ''}parley doctor --echo plays a sound and measures it` }
        const { cancelledDb, echoOverNoiseDb } = await measureEchoCanceller(canceller)
        const seen = `the echo (${figure(echoOverNoiseDb)} dB over the noise) is ${figure(cancelledDb)} dB softer behind ${canceller.source}`
        return cancelledDb >= 15 ? { state: 'ok', seen } : { state: 'warn', seen, mend: 'move the microphone away from the speaker, or lower the volume until it does not distort' }
      },
    },
  ]
}

/** A `[speaker]` that names it takes no other way; `auto` and `pipe` do. */
export function unbuiltSpeaker(driver: string, installed: boolean): Seen {
  const named = driver === 'speaker'
  const seen = named ? 'not built, and [speaker] driver = "speaker" needs it' : 'not built: pacat or aplay plays instead'
  if (!installed) return { state: 'warn', seen, mend: 'sudo apt-get install libasound2-dev make g++ python3 && npm run demo' }
  if (!named) return { state: 'ok', seen: `${seen}, nothing is to be done` }
  return { state: 'warn', seen, mend: 'sudoedit /etc/parley/parley.toml ([speaker] driver = "pipe", program = "aplay"), then: sudo systemctl restart parley' }
}

/** `server`: whether we hear through a sound server; with ALSA alone there is nothing that a module could be loaded into. */
export function noCanceller(server: boolean, installed: boolean): Seen {
  if (!server) return { state: 'warn', seen: 'with ALSA alone there is none, but in a speakerphone; the gate keeps our own voice out, and works', mend: 'sudo deploy/install.sh --audio pulse, then in parley.toml: [microphone] driver = "pulse", [speaker] driver = "pipe"' }
  const seen = 'the sound server has no canceller; only the gate keeps our own voice out'
  if (installed) return { state: 'warn', seen, mend: 'systemctl status parley-sound; then: sudo systemctl restart parley' }
  return { state: 'warn', seen, mend: 'pactl load-module module-echo-cancel aec_method=webrtc source_name=parley_mic sink_name=parley_speaker aec_args="analog_gain_control=0 digital_gain_control=0" (until the server ends; sudo deploy/install.sh --audio pulse makes it last)' }
}

async function listen(microphone: Microphone): Promise<{ level: number; gapMs: number }> {
  const levels: number[] = []
  let gapMs = 0
  let lastAt = systemClock.now()
  for await (const frame of microphone.frames()) {
    const now = systemClock.now()
    if (levels.length) gapMs = Math.max(gapMs, now - lastAt)
    lastAt = now
    levels.push(levelDb(frame.samples))
    if (levels.length >= FRAMES) return { level: levels.sort((a, b) => a - b)[FRAMES >> 1] ?? -120, gapMs }
  }
  throw new ParleyError('device-lost', `${microphone.name} ended after ${levels.length} frames`)
}
