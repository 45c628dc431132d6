import { judgeVolume, type Ask } from './questions.js'

/** What is tried with sound; the runtime hands it in, because only it knows drivers and models. */
export interface SoundChecks {
  setVolume(percent: number): Promise<void>
  /** Says a sentence through the speaker and listens to the microphone meanwhile: both levels in dB of full scale. */
  speakAndListen(text: string): Promise<{ noiseDb: number; heardDb: number }>
  /** By how much the echo of our own voice is reduced, dB. */
  echoDb(): Promise<number>
  /** The golden utterance, heard and answered. */
  golden(): Promise<{ passed: boolean; firstSoundMs?: number; detail?: string }>
}

export interface Finding {
  readonly what: string
  readonly state: 'ok' | 'warn' | 'fail'
  readonly seen: string
  readonly mend?: string
}

/** Below this the person who interrupts is drowned by our own voice, dB (facts: 17 to 45 with WebRTC's canceller). */
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
  const look = async (what: string, work: () => Promise<Omit<Finding, 'what'>>): Promise<Finding> => {
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
    await look('echo', async () => {
      const db = await checks.echoDb()
      return db < LEAST_ECHO_DB ? { state: 'warn', seen: `reduced by ${Math.round(db)} dB; at least ${LEAST_ECHO_DB} are wanted`, mend: 'a speakerphone with its own echo canceller, a lower volume, or the microphone away from the speaker' } : { state: 'ok', seen: `reduced by ${Math.round(db)} dB` }
    }),
    await look('golden utterance', async () => {
      const { passed, firstSoundMs, detail } = await checks.golden()
      if (passed) return { state: 'ok', seen: `heard and answered${firstSoundMs === undefined ? '' : firstSoundMs < 0 ? `, first sound ${Math.round(-firstSoundMs)} ms before its end` : `, first sound after ${Math.round(firstSoundMs)} ms`}` }
      return { state: 'fail', seen: detail ?? 'not answered as it should be', mend: 'parley doctor' }
    }),
  ]
  return { findings, volume }
}
