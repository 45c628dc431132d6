import { MIC_RATE, type AudioFrame } from '../../base/frames.js'
import { BANDS, WINDOW, bandLevels } from './bands.js'
import { Coupling } from './coupling.js'
import { DelayFinder, MAX_LATE_MS, MIN_DELAY_MS } from './delay-finder.js'
import { Loss } from './loss.js'
import { OwnLevels, REFERENCE_FLOOR_DB, type Explained } from './own-levels.js'
import { PlaybackReference } from './reference.js'
import { matchWaveform } from './waveform-match.js'

/** What a frame holds: `clear` while we are silent, `echo` when our own voice explains it, `near` when somebody else speaks too. */
export type Heard = 'clear' | 'echo' | 'near'

export interface GatedFrame {
  readonly frame: AudioFrame
  readonly heard: Heard
}

/** A band stands out when it is this far above what the echo explains, dB. */
const MARGIN_DB = 5
/** A room scatters our voice by this much in a band, dB; what is over it is the canceller's doing, and is added to the margin… */
const ROOM_SPREAD_DB = 10
/** …up to this, dB: behind a canceller our voice comes through in bursts 5 to 10 dB over the usual, and a person is 20 over it in 60 ms. */
const MOST_SPREAD_DB = 9
/** The same while the room is still new to us. */
const EARLY_MARGIN_DB = 10
/** Steady noise in a band varies by this much above its least, dB. */
const FLOOR_MARGIN_DB = 12
/** How fast the floor may rise: 3 dB a second, so that a fan that starts is learnt in seconds and a word is not. */
const FLOOR_RISE_DB = 0.06
/** Bands of the 20 that must stand out: one or two do by chance, as the room or the canceller moves. */
const MIN_BANDS = 3
/** A canceller that adds this much on average lets bursts of our voice through which stand out in more bands, dB; in a room the mean is 3. */
const BURSTY_DB = 4
/** Then more bands must stand out, for longer; a person has 8 within 60 ms, and keeps them. */
const MIN_BANDS_BURSTY = 4
const SURE_BURSTY = { of: 6, needs: 4 }
/** Two such frames of the last three (≤ 60 ms): a click is not a person. */
const SURE = { of: 3, needs: 2 }
/** More when a device that ran dry could explain it, so that its waveform can be compared: ≤ 120 ms. */
const DOUBTFUL = { of: 6, needs: 5 }
/** A person is heard on for this long after the last frame that stood out: 240 ms, the gaps between syllables. */
const HOLD_FRAMES = 12
/** What is heard while somebody may speak, and for so long after, teaches little: 200 ms. */
const SUSPECT_FRAMES = 10
const SUSPECT_SPEED = 0.02
/** What is left of an echo: −60 dB. */
const CLOSED_GAIN = 0.001
/** A delay that a look corrects by more was a wrong one, ms: behind a canceller the first residue may deceive. */
const WRONG_MS = 40
/** A second between looks for the delay: each costs some ms. */
const LOOK_FRAMES = 50
const LOOK_SAMPLES = 16_384
/** The share of a waveform from which it is ours: near the delay that was found, and anywhere (there unlike voices reach 0.4). */
const OURS = 0.7
const OURS_ANYWHERE = 0.5
const ANYWHERE = { fromMs: MIN_DELAY_MS, toMs: MAX_LATE_MS }
/** So far around the delay that was found a device that ran dry is looked for, ms. */
const NEAR_MS = 160
/** The share from which it is ours at a new delay, whatever the levels say: a person above our echo brings 0.7 by chance, at a pitch period. */
const OURS_MOVED = 0.8
/** And as loud as the room brings our voice back, dB around it: neither a person who sounds like us, nor a word's last echo that looks like another's. */
const LOUDER_DB = 3
const SOFTER_DB = 8
/** Nearer than this it is the delay that was found, or a pitch period beside it, ms. */
const SAME_MS = 20
/** Frames after opening, 200 ms, in which the sound is compared again: at first a part of it was from before the jump. */
const YOUNG_FRAMES = 10

/**
 * Keeps the device's own voice out of its ear: what the speaker plays, at its delay and its loudness in the room, explains
 * a part of each microphone frame; a frame of which nothing is left is attenuated, one in which a person stands out passes.
 * Behind the sound server's canceller the same gate learns the residue. One frame in, one out, no delay of its own.
 */
export class EchoGate {
  /** Connect it to the speaker: `speaker.tap(gate.reference)`. */
  readonly reference = new PlaybackReference()
  readonly #own = new OwnLevels(this.reference)
  readonly #delay = new DelayFinder()
  #coupling = new Coupling()
  /** The newest second. */
  readonly #microphone = new Float32Array(LOOK_SAMPLES)
  /** The least level of late in each band, dB: the room without anybody. */
  #floor: Float64Array | undefined
  #sure: boolean[] = []
  #doubtful: boolean[] = []
  #hold = 0
  readonly #loss = new Loss()
  /** Frames since somebody else was first heard. */
  #open = 0
  /** Frames for which what is heard may not be ours alone. */
  #suspect = 0
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
    const floor = this.#followFloor(levels)
    const own = this.#own.next(endAt, this.#delay.delayMs, this.#loss.lost)
    if (!own.sounding) this.#forget()
    const heard = own.sounding ? this.#judge(levels, own, floor, endAt) : 'clear'
    return { frame: this.#attenuate(frame, heard === 'echo' ? CLOSED_GAIN : 1), heard }
  }

  #judge(levels: Float64Array, own: Explained, floor: Float64Array, endAt: number): Heard {
    this.#lookForDelay(endAt)
    this.#loss.follow(levels, own.least, floor, this.#coupling)
    const standsOut = this.#standsOut(levels, own.expected, floor) && !this.#isOurs(endAt)
    const sure = this.#bursty ? SURE_BURSTY : SURE
    this.#sure = recent(this.#sure, standsOut && this.#standsOut(levels, own.possible, floor), sure.of)
    this.#doubtful = recent(this.#doubtful, standsOut, DOUBTFUL.of)
    const somebody = (count(this.#sure) >= sure.needs && !this.#loss.lost) || (count(this.#doubtful) >= DOUBTFUL.needs && !this.#isOursNearby(endAt))
    this.#open = this.#hold > 0 ? this.#open + 1 : 0
    if ((somebody || this.#hold > 0) && this.#open < YOUNG_FRAMES && this.#isOursElsewhere(endAt)) this.#forget()
    else if (somebody) this.#hold = HOLD_FRAMES
    else if (this.#hold > 0) this.#hold--
    // In double talk the ratio is the person's, not the room's; a little is learnt all the same, or a louder room would never be.
    // Bursts are not allowed for here: a person who is too soft to pass would else be learnt as the loudest of them.
    if (this.#bandsAbove(levels, own.expected, floor, MARGIN_DB, () => 0) >= MIN_BANDS) this.#suspect = SUSPECT_FRAMES
    else if (this.#suspect > 0) this.#suspect--
    const speed = this.#suspect > 0 || this.#hold > 0 ? SUSPECT_SPEED : 1
    this.#coupling.next()
    for (let b = 0; b < BANDS; b++) {
      if (own.expected[b]! > REFERENCE_FLOOR_DB && levels[b]! > floor[b]! + FLOOR_MARGIN_DB) this.#coupling.learn(b, levels[b]! - own.expected[b]!, speed)
    }
    return this.#hold > 0 ? 'near' : 'echo'
  }

  #standsOut(levels: Float64Array, own: Float64Array, floor: Float64Array): boolean {
    const margin = this.#coupling.settled ? MARGIN_DB : EARLY_MARGIN_DB
    return this.#bandsAbove(levels, own, floor, margin, b => this.#burstDb(b)) >= (this.#bursty ? MIN_BANDS_BURSTY : MIN_BANDS)
  }

  /** Bands that are `margin` dB above what our sound explains with `more(band)` dB added; 0 while the room is unknown. */
  #bandsAbove(levels: Float64Array, own: Float64Array, floor: Float64Array, margin: number, more: (band: number) => number): number {
    if (!this.#coupling.known) return 0
    let bands = 0
    for (let b = 0; b < BANDS; b++) {
      const ours = own[b]! + this.#coupling.gain(b) + more(b)
      if (levels[b]! > Math.max(ours, floor[b]! + FLOOR_MARGIN_DB) + margin) bands++
    }
    return bands
  }

  /** How much louder than usual a canceller lets our voice through now and then, dB. */
  #burstDb(band: number): number {
    return Math.min(MOST_SPREAD_DB, Math.max(0, this.#coupling.spread(band) - ROOM_SPREAD_DB))
  }

  get #bursty(): boolean {
    let sum = 0
    for (let b = 0; b < BANDS; b++) sum += this.#burstDb(b)
    return sum > BANDS * BURSTY_DB
  }

  #lookForDelay(endAt: number): void {
    if (++this.#sinceLook < LOOK_FRAMES) return
    this.#sinceLook = 0
    const before = this.#delay.delayMs
    this.#delay.look(this.#microphone, this.reference.read(endAt - (LOOK_SAMPLES * 1000) / MIC_RATE, LOOK_SAMPLES))
    this.#isOursElsewhere(endAt)
    // What was learnt beside any part of our sound says nothing about the right one.
    const now = this.#delay.delayMs
    if (now !== undefined && (before === undefined || Math.abs(now - before) > WRONG_MS)) this.#coupling = new Coupling()
  }

  /** Whether the last 60 ms are our own sound as a waveform, at whatever loudness: then nobody else is in it. */
  #isOurs(endAt: number): boolean {
    const delay = this.#delay.delayMs
    if (delay === undefined) return false
    return matchWaveform(this.#microphone, endAt, this.reference, { fromMs: delay - 1.5, toMs: delay + 1.5, windowMs: 60, decimate: 1 }).share > OURS
  }

  /** Whether the last 100 ms are our own sound near the delay that was found, or anywhere once it was lost, by a share that doubtful levels need. */
  #isOursNearby(endAt: number): boolean {
    const delay = this.#delay.delayMs
    return delay !== undefined && this.#movedTo(endAt, this.#loss.lost ? ANYWHERE : { fromMs: delay - NEAR_MS, toMs: delay + NEAR_MS }, OURS_ANYWHERE)
  }

  /** Whether they clearly are our own sound at another delay: a server that stood still, or catches up. */
  #isOursElsewhere(endAt: number): boolean {
    const room = this.#coupling.meanDb
    return this.#delay.delayMs !== undefined && room !== undefined && this.#movedTo(endAt, ANYWHERE, OURS_MOVED, room)
  }

  #movedTo(endAt: number, range: { readonly fromMs: number; readonly toMs: number }, share: number, roomDb?: number): boolean {
    const match = matchWaveform(this.#microphone, endAt, this.reference, { ...range, windowMs: 100, decimate: 4 })
    if (match.share <= share || (roomDb !== undefined && (match.gainDb > roomDb + LOUDER_DB || match.gainDb < roomDb - SOFTER_DB))) return false
    if (Math.abs(match.delayMs - this.#delay.delayMs!) > SAME_MS) this.#delay.moved(match.delayMs)
    return true
  }

  #forget(): void {
    this.#sure = []
    this.#doubtful = []
    this.#hold = 0
  }

  /** Falls at once, rises slowly: speech has gaps in every band, and noise has none. */
  #followFloor(levels: Float64Array): Float64Array {
    const floor = (this.#floor ??= levels.slice())
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

function recent(flags: boolean[], newest: boolean, length: number): boolean[] {
  return [newest, ...flags].slice(0, length)
}

function count(flags: boolean[]): number {
  return flags.filter(Boolean).length
}
