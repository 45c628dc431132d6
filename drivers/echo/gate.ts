import { MIC_RATE, type AudioFrame } from '../../base/frames.js'
import { BANDS, WINDOW, bandLevels } from './bands.js'
import { Coupling } from './coupling.js'
import { DelayFinder, MAX_DELAY_MS } from './delay-finder.js'
import { PlaybackReference } from './reference.js'

/** What a frame holds: `clear` while we are silent, `echo` when our own voice explains it, `near` when somebody else speaks too. */
export type Heard = 'clear' | 'echo' | 'near'

export interface GatedFrame {
  readonly frame: AudioFrame
  readonly heard: Heard
}

/** A band stands out when it is this far above what the echo explains, dB. */
const MARGIN_DB = 5
/** The same while the room is still new to us. */
const EARLY_MARGIN_DB = 10
/** Steady noise in a band varies by this much above its least, dB. */
const FLOOR_MARGIN_DB = 12
/** How fast the floor may rise: 3 dB a second, so that a fan that starts is learnt in seconds and a word is not. */
const FLOOR_RISE_DB = 0.06
/** Bands of the 20 that must stand out: one or two do by chance, as the room or the canceller moves. */
const MIN_BANDS = 3
/** Two such frames of the last three (≤ 60 ms): a click is not a person. */
const RECENT = 3
const MIN_RECENT = 2
/** A person is heard on for this long after the last frame that stood out: 240 ms, the gaps between syllables. */
const HOLD_FRAMES = 12
/** What is left of an echo: −60 dB. */
const CLOSED_GAIN = 0.001
/** A band of our own sound below this is too soft to be heard back or to learn from, dB. */
const REFERENCE_FLOOR_DB = -75
/** The room's echo falls by at least this much a frame, dB (3 dB in 20 ms: 0.4 s for 60 dB). */
const TAIL_DB = 3
/** A second between looks for the delay: each costs some ms. */
const LOOK_FRAMES = 50
const LOOK_SAMPLES = 16_384
const DELAY_FRAMES = MAX_DELAY_MS / 20
/** The share of the energy that our own sound explains, as a waveform, from which nothing else can be in it. */
const EXPLAINED = 0.7

/**
 * Keeps the device's own voice out of its ear: what the speaker plays, at its delay and its loudness in the room, explains
 * a part of each microphone frame; a frame of which nothing is left is attenuated, one in which a person stands out passes.
 * Behind the sound server's canceller the same gate learns the residue. One frame in, one out, no delay of its own.
 */
export class EchoGate {
  /** Connect it to the speaker: `speaker.tap(gate.reference)`. */
  readonly reference = new PlaybackReference()
  readonly #delay = new DelayFinder()
  #coupling = new Coupling()
  readonly #microphone = new Float32Array(LOOK_SAMPLES)
  /** Our own sound's band levels, newest first: [0] is 20 ms after the frame at hand, [1] beside it, and so on. */
  #own: Float64Array[] = []
  #tail = new Float64Array(BANDS).fill(-108)
  /** The least level of late in each band, dB: the room without anybody. */
  #floor: Float64Array | undefined
  #recent: boolean[] = []
  #hold = 0
  #sinceLook = 0
  #gain = 1

  /** Ms from the speaker to the microphone, once found. */
  get delayMs(): number | undefined {
    return this.#delay.delayMs
  }

  /** How much louder (dB, mean of the bands) the microphone hears our sound than it was sent; undefined until learnt. */
  get couplingDb(): number | undefined {
    return this.#coupling.meanDb
  }

  /** Takes each frame once, in order: 16 kHz, 20 ms. */
  process(frame: AudioFrame): GatedFrame {
    if (frame.rate !== MIC_RATE) throw new RangeError(`the gate hears ${MIC_RATE} Hz, not ${frame.rate}`)
    this.#microphone.copyWithin(0, frame.samples.length)
    this.#microphone.set(frame.samples, LOOK_SAMPLES - frame.samples.length)
    const endAt = frame.at + (frame.samples.length * 1000) / MIC_RATE
    const levels = bandLevels(this.#microphone.subarray(LOOK_SAMPLES - WINDOW))
    const own = this.#ownLevels(endAt)
    const sounding = own.some(level => level > REFERENCE_FLOOR_DB)
    const floor = this.#followFloor(levels)
    const heard = sounding ? this.#judge(levels, own, floor, endAt) : 'clear'
    if (!sounding) this.#forget()
    return { frame: this.#attenuate(frame, heard === 'echo' ? CLOSED_GAIN : 1), heard }
  }

  /** The loudest that our sound can be in each band of this frame, before the room's gain: dB. */
  #ownLevels(endAt: number): Float64Array {
    const window = (WINDOW * 1000) / MIC_RATE
    const next = this.reference.read(endAt + 20 - window, WINDOW)
    this.#own.unshift(next.some(s => s !== 0) ? bandLevels(next) : SILENCE)
    this.#own.length = Math.min(this.#own.length, DELAY_FRAMES + 12)
    const delay = this.#delay.delayMs
    // Until the delay is known it may be any: the loudest of the last half second explains the frame.
    const [from, to] = delay === undefined ? [0, DELAY_FRAMES + 2] : [Math.floor(delay / 20) - +(process.env['LO'] ?? 0), Math.ceil(delay / 20) + 2 + +(process.env['HI'] ?? 0)]
    const loudest = new Float64Array(BANDS).fill(-108)
    for (const levels of this.#own.slice(Math.max(0, from), to + 1)) for (let b = 0; b < BANDS; b++) loudest[b] = Math.max(loudest[b]!, levels[b]!)
    for (let b = 0; b < BANDS; b++) loudest[b] = this.#tail[b] = Math.max(loudest[b]!, this.#tail[b]! - TAIL_DB)
    return loudest
  }

  #judge(levels: Float64Array, own: Float64Array, floor: Float64Array, endAt: number): Heard {
    if (++this.#sinceLook >= LOOK_FRAMES) {
      this.#sinceLook = 0
      const before = this.#delay.delayMs
      this.#delay.look(this.#microphone, this.reference.read(endAt - (LOOK_SAMPLES * 1000) / MIC_RATE, LOOK_SAMPLES))
      // What was learnt beside another part of our sound says nothing about this one.
      if (before === undefined ? this.#delay.delayMs !== undefined : Math.abs(this.#delay.delayMs! - before) > 10) this.#coupling = new Coupling()
    }
    const margin = this.#coupling.settled ? MARGIN_DB : EARLY_MARGIN_DB
    let outstanding = 0
    for (let b = 0; b < BANDS; b++) {
      const explained = Math.max(own[b]! + this.#coupling.gain(b), floor[b]! + FLOOR_MARGIN_DB)
      if (levels[b]! > explained + margin) outstanding++
    }
    const out = this.#coupling.known && outstanding >= MIN_BANDS && !this.#isOurWaveform(endAt)
    this.#recent = [out, ...this.#recent].slice(0, RECENT)
    if (this.#recent.filter(Boolean).length >= MIN_RECENT) this.#hold = HOLD_FRAMES
    else if (this.#hold > 0) this.#hold--
    // In double talk the ratio is the person's, not the room's; a little is learnt all the same, or a louder room would never be.
    const speed = out || this.#hold > 0 ? 0.02 : 1
    this.#coupling.next()
    for (let b = 0; b < BANDS; b++) if (own[b]! > REFERENCE_FLOOR_DB && levels[b]! > floor[b]! + FLOOR_MARGIN_DB) this.#coupling.learn(b, levels[b]! - own[b]!, speed)
    return this.#hold > 0 ? 'near' : 'echo'
  }

  /** Whether the last 60 ms are our own sound as a waveform, at whatever loudness: then nobody else is in it. */
  #isOurWaveform(endAt: number): boolean {
    const delay = this.#delay.delayMs
    if (delay === undefined) return false
    const length = 960
    const slack = 24 // ±1.5 ms around the delay
    const heard = this.#microphone.subarray(LOOK_SAMPLES - length)
    const own = this.reference.read(endAt - delay - ((length + slack) * 1000) / MIC_RATE, length + 2 * slack)
    let energy = 0
    for (const s of heard) energy += s * s
    let best = 0
    for (let lag = 0; lag <= 2 * slack; lag++) {
      let dot = 0
      let power = 1e-9
      for (let i = 0; i < length; i++) {
        const s = own[i + lag]!
        dot += heard[i]! * s
        power += s * s
      }
      best = Math.max(best, (dot * dot) / (power * (energy + 1e-9)))
    }
    return best > EXPLAINED
  }

  #forget(): void {
    this.#recent = []
    this.#hold = 0
  }

  /** Falls at once, rises slowly: speech has gaps in every band, and noise has none. */
  #followFloor(levels: Float64Array): Float64Array {
    const floor = this.#floor ??= levels.slice()
    for (let b = 0; b < BANDS; b++) floor[b] = Math.min(levels[b]!, floor[b]! + FLOOR_RISE_DB)
    return floor
  }

  #attenuate(frame: AudioFrame, gain: number): AudioFrame {
    if (gain === 1 && this.#gain === 1) return frame
    const from = this.#gain
    this.#gain = gain
    // A change is spread over the frame: a step would click.
    const samples = frame.samples.map((s, i, all) => s * (from + ((gain - from) * (i + 1)) / all.length))
    return { ...frame, samples }
  }
}

const SILENCE = new Float64Array(BANDS).fill(-108)
