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
/** The prompt must stand out of the room's noise by so much, dB. */
const LEAST_RISE_DB = 10

export async function trySound(checks: SoundChecks, volume: number): Promise<Finding[]> {
  const look = async (what: string, work: () => Promise<Omit<Finding, 'what'>>): Promise<Finding> => {
    try {
      return { what, ...(await work()) }
    } catch (error) {
      return { what, state: 'fail', seen: error instanceof Error ? error.message : String(error), mend: 'parley doctor' }
    }
  }
  return [
    await look('speaker and microphone', async () => {
      await checks.setVolume(volume)
      const { noiseDb, heardDb } = await checks.speakAndListen('Hello. If you can hear me well, the volume is right.')
      const seen = `room ${Math.round(noiseDb)} dB, own voice ${Math.round(heardDb)} dB at volume ${volume} %`
      if (noiseDb < -90) return { state: 'fail', seen: `${seen}: the microphone gives digital silence`, mend: 'is it muted? alsamixer' }
      return heardDb - noiseDb < LEAST_RISE_DB ? { state: 'warn', seen: `${seen}: the voice hardly stands out`, mend: 'a higher volume, or the microphone nearer' } : { state: 'ok', seen }
    }),
    await look('echo', async () => {
      const db = await checks.echoDb()
      return db < LEAST_ECHO_DB ? { state: 'warn', seen: `reduced by ${Math.round(db)} dB; at least ${LEAST_ECHO_DB} are wanted`, mend: 'a speakerphone with its own echo canceller, a lower volume, or the microphone away from the speaker' } : { state: 'ok', seen: `reduced by ${Math.round(db)} dB` }
    }),
    await look('golden utterance', async () => {
      const { passed, firstSoundMs, detail } = await checks.golden()
      if (passed) return { state: 'ok', seen: `heard and answered${firstSoundMs === undefined ? '' : `, first sound after ${Math.round(firstSoundMs)} ms`}` }
      return { state: 'fail', seen: detail ?? 'not answered as it should be', mend: 'parley doctor' }
    }),
  ]
}
