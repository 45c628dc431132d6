import { mkdir } from 'node:fs/promises'
import { spawnSync } from 'node:child_process'
import { dirname } from 'node:path'
import { systemClock } from '../../base/clock.js'
import { ParleyError } from '../../base/errors.js'
import { MIC_RATE } from '../../base/frames.js'
import { resample } from '../../base/resample.js'
import { readWav, writeWav } from '../../base/wav.js'
import type { Host, Microphone, Speaker } from '../../drivers/contract.js'
import { openDriver } from '../../drivers/table.js'
import { hasSoundCard, soundServer, speakerPackageIsBuilt } from '../compose/sound-devices.js'
import { openSpeaker } from '../compose/open-sound.js'
import { PacedMicrophone } from './paced-microphone.js'
import { TeeSpeaker } from './tee-speaker.js'

export type StageKind = 'auto' | 'room' | 'file'

/** Where a demo is held: what the device hears and plays, and how somebody speaks to it. */
export interface Stage {
  readonly description: string
  /** Whether the microphone hears the speaker: without an echo to learn from, a gate would only be in the way. */
  readonly echo: boolean
  readonly microphone: Microphone
  readonly speaker: Speaker
  /** Somebody says this recording; resolves about when it is over. */
  say(wav: string): Promise<void>
  /** Of the room only: monotonic ms of the first sound at the speaker's output since `from`, and of the last one before `to`. */
  firstSoundAt?(from: number): number | undefined
  lastSoundAt?(from: number, to: number): number | undefined
  /** After the runtime has closed both: the reply's file is complete. */
  finish(): Promise<void>
}

interface StageOptions {
  readonly host: Host
  /** Hz of the model's speech. */
  readonly rate: number
  readonly output: string
  /** The room's microphone hears the speaker. */
  readonly echo: boolean
}

/**
 * `room`: a private sound server with a virtual speaker, microphone and room, through the real drivers.
 * `file`: the recordings as a microphone in real time, the reply to a file and to the sound card where there is one.
 * `auto`: file where there is a sound card or server, so that the reply is heard; else the room, where PulseAudio is installed.
 */
export async function openStage(kind: StageKind, options: StageOptions): Promise<Stage> {
  await mkdir(dirname(options.output), { recursive: true })
  const audible = (await soundServer()) !== undefined || (await hasSoundCard())
  if (kind === 'file' || (kind === 'auto' && audible)) return openFile(options, audible)
  if (spawnSync('pulseaudio', ['--version'], { stdio: 'ignore' }).status !== 0) {
    if (kind === 'auto') return openFile(options, false)
    throw new ParleyError('missing-program', 'pulseaudio is not installed', { hint: 'apt-get install pulseaudio pulseaudio-utils, or take --stage file' })
  }
  return openRoom(options)
}

async function openFile({ host, rate, output }: StageOptions, audible: boolean): Promise<Stage> {
  const file = await openDriver('speaker', 'wav', { path: output, rate }, host)
  const card = audible ? await openSpeaker({ driver: 'auto' }, rate, host) : undefined
  const microphone = new PacedMicrophone(systemClock)
  return {
    description: `recordings in real time → model → ${card ? 'file and sound card' : 'file (there is no sound card)'}`,
    echo: false,
    microphone,
    speaker: card ? new TeeSpeaker(file, card) : file,
    say: async wav => microphone.say(await sound(wav)),
    finish: async () => {},
  }
}

async function openRoom({ host, output, echo }: StageOptions): Promise<Stage> {
  const { SoundServer } = await import('../../drivers/room/sound-server.js')
  const server = await SoundServer.start({ loopback: echo })
  server.useHere()
  const recording = await server.record('spk.monitor')
  const microphone = await openDriver('microphone', 'pulse', { device: 'mic' }, host)
  const driver = speakerPackageIsBuilt() ? 'speaker' : 'pipe'
  const speaker = await openDriver('speaker', driver, driver === 'pipe' ? { program: 'pacat' } : {}, host)
  return {
    description: `a sound server's room${echo ? ' in which it hears itself' : ''} → parec → model → ${driver === 'speaker' ? 'the package speaker' : 'pacat'} → the sound server`,
    echo,
    microphone,
    speaker,
    say: async wav => server.play(await sound(wav), MIC_RATE),
    firstSoundAt: from => recording.firstSoundAt(0.01, from),
    lastSoundAt: (from, to) => {
      const at = (ms: number): number => Math.max(0, Math.round(((ms - recording.startAt) * recording.rate) / 1000))
      const index = recording.samples().subarray(at(from), at(to)).findLastIndex(s => Math.abs(s) > 0.01)
      return index < 0 ? undefined : from + (index * 1000) / recording.rate
    },
    finish: async () => {
      await recording[Symbol.asyncDispose]()
      await writeWav(output, { rate: recording.rate, samples: recording.samples() })
      await server[Symbol.asyncDispose]()
    },
  }
}

async function sound(path: string): Promise<Float32Array> {
  const { rate, samples } = await readWav(path)
  return rate === MIC_RATE ? samples : resample(samples, rate, MIC_RATE)
}
