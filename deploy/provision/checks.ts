import type { Finding, Seen } from '../../base/finding.js'
import { judgeVolume, type Ask } from './questions.js'

/** What is tried with sound; the runtime hands it in, because only it knows drivers and models. */
export interface SoundChecks {
  setVolume(percent: number): Promise<void>
  /** Says a sentence through the speaker and listens to the microphone meanwhile: both levels in dB of full scale. */
  speakAndListen(text: string): Promise<{ noiseDb: number; heardDb: number }>
  /** What is left of our own voice. Undefined: the microphone gave digital silence. */
  echo(): Promise<Echo | undefined>
  /** The golden utterance, heard and answered. */
  golden(): Promise<{ passed: boolean; firstSoundMs?: number; detail?: string }>
}

export interface Echo {
  /** How much softer our own voice is behind the sound server's canceller than before it, or at the microphone than it was played, dB. */
  readonly softerDb: number
  readonly behind: 'canceller' | 'microphone'
  /** False: it is not heard over the room, and so is softer by `softerDb` or more. */
  readonly heard: boolean
}

/** Below this the person who interrupts is drowned by our own voice, dB (facts: 17 to 45 with WebRTC's canceller, the server's or the device's own). */
const LEAST_ECHO_DB = 12
/** Below this a microphone gives zeros, dB. */
const SILENT_DB = -90
/** The prompt must stand out of the room's noise by so much, dB. */
const LEAST_RISE_DB = 10

/** How often the prompt is said again, louder or softer. */
const PROMPTS = 6

/** `ask`: the person who hears the prompt and may want it louder. Gives the volume that was right. */
export async function trySound(checks: SoundChecks, wanted: number, ask?: Ask): Promise<{ findings: Finding[]; volume: number }> {
  let volume = wanted
  const prompt = async (): Promise<{ noiseDb: number; heardDb: number }> => {
    for (let n = 1; ; n++) {
      await checks.setVolume(volume)
      const levels = await checks.speakAndListen('Hello. If you can hear me well, the volume is right.')
      const other = ask && n < PROMPTS ? await judgeVolume(ask, volume) : undefined
      if (other === undefined) return levels
      volume = other
    }
  }
  const look = async (what: string, work: () => Promise<Seen>): Promise<Finding> => {
    try {
      return { what, ...(await work()) }
    } catch (error) {
      return { what, state: 'fail', seen: error instanceof Error ? error.message : String(error), mend: 'parley doctor' }
    }
  }
  const findings = [
    await look('speaker and microphone', async () => {
      const { noiseDb, heardDb } = await prompt()
      const seen = `room ${Math.round(noiseDb)} dB, own voice ${Math.round(heardDb)} dB at volume ${volume} %`
      // A room alone may be silent to the last digit: speakerphones shut their microphone between words.
      if (noiseDb < SILENT_DB && heardDb < SILENT_DB) return { state: 'fail', seen: `${seen}: the microphone gives digital silence`, mend: 'is it muted? alsamixer' }
      return heardDb - noiseDb < LEAST_RISE_DB ? { state: 'warn', seen: `${seen}: the voice hardly stands out`, mend: 'a higher volume, or the microphone nearer' } : { state: 'ok', seen }
    }),
    await look('echo', async () => judgeEcho(await checks.echo())),
    await look('golden utterance', async () => {
      const { passed, firstSoundMs, detail } = await checks.golden()
      if (passed) return { state: 'ok', seen: `heard and answered${firstSoundMs === undefined ? '' : firstSoundMs < 0 ? `, first sound ${Math.round(-firstSoundMs)} ms before its end` : `, first sound after ${Math.round(firstSoundMs)} ms`}` }
      return { state: 'fail', seen: detail ?? 'not answered as it should be', mend: 'parley doctor' }
    }),
  ]
  return { findings, volume }
}

function judgeEcho(echo: Echo | undefined): Seen {
  if (!echo) return { state: 'warn', seen: 'not measured: the microphone gives digital silence', mend: 'is it muted? alsamixer' }
  const { behind, heard, softerDb } = echo
  const db = Math.round(softerDb)
  const seen = behind === 'canceller' ? `reduced by ${db} dB`
    : !heard ? `own voice is not heard over the room: at least ${db} dB softer than it was played`
    : db < 0 ? `own voice comes back ${-db} dB louder than it was played` : `own voice comes back ${db} dB softer than it was played`
  if (softerDb >= LEAST_ECHO_DB) return { state: 'ok', seen }
  const mend = behind === 'canceller' ? 'a speakerphone with its own echo canceller, a lower volume, or the microphone away from the speaker'
    : heard ? 'a speakerphone with its own echo canceller, that of a sound server (deploy/install.sh --audio pulse), or the microphone away from the speaker'
    : 'again in a quieter room, or with a higher volume'
  return { state: 'warn', seen: `${seen}; at least ${LEAST_ECHO_DB} are wanted`, mend }
}
