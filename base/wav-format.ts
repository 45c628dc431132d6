import { ParleyError } from './errors.js'

/** What a WAV header says, checked. `frames` is how many really are in the file. */
export interface WavFormat {
  /** Hz */
  readonly rate: number
  readonly channels: number
  /** Bits a sample takes in the file: 8 (unsigned), 16, 24, 32; 32 or 64 when `float`. */
  readonly bits: 8 | 16 | 24 | 32 | 64
  readonly float: boolean
  /** Where the first sample stands, bytes from the start of the file. */
  readonly dataAt: number
  /** Samples a channel. */
  readonly frames: number
}

const MAX_CHANNELS = 64
const MIN_RATE = 1_000
const MAX_RATE = 768_000
/** A format chunk has 16 to 40 bytes; more than this is not one. */
const MAX_FORMAT_CHUNK = 1_024
/** Real files have a few chunks (lists, cues) before the sound; a hostile one could have millions. */
const MAX_CHUNKS = 100
/** Programs that write into a pipe cannot know the length, and put one of the largest numbers there (sox, ffmpeg, arecord). */
const UNKNOWN_LENGTH = 0x7ffff000

const CODINGS: Record<number, string> = { 2: 'ADPCM', 6: 'A-law', 7: 'µ-law', 0x11: 'IMA ADPCM', 0x31: 'GSM 6.10', 0x50: 'MPEG', 0x55: 'MP3' }
/** The end of every WAVE_FORMAT_EXTENSIBLE subformat (KSDATAFORMAT_SUBTYPE_*): its first two bytes are the coding. */
const SUBFORMAT_TAIL = '000000001000800000aa00389b71'

export function refuse(what: string, code = 'wav-bad', hint = 'Convert it, for example: sox in.wav -b 16 -e signed out.wav'): ParleyError {
  return new ParleyError(code, `not a WAV file that can be read: ${what}`, { hint })
}

/** Reads `length` bytes at `at`; fewer at the end of the file. */
export type ReadAt = (at: number, length: number) => Uint8Array | Promise<Uint8Array>

/** Walks the chunks up to the sound. Source: Microsoft RIFF specification; nothing is allocated by what a header claims. */
export async function parseWav(size: number, read: ReadAt): Promise<WavFormat> {
  const head = await view(read, 0, 12)
  if (head.byteLength < 12) throw refuse(`${size} bytes are too few for a header`, 'wav-truncated')
  const magic = text(head, 0)
  const long = magic === 'RF64' || magic === 'BW64'
  if ((magic !== 'RIFF' && !long) || text(head, 8) !== 'WAVE') throw refuse('it does not begin with RIFF … WAVE')

  let format: Omit<WavFormat, 'dataAt' | 'frames'> | undefined
  /** What a file over 4 GB says of its sound in a chunk of its own (EBU Tech 3306). */
  let longData: number | undefined
  let at = 12
  for (let n = 0; n < MAX_CHUNKS; n++) {
    const chunk = await view(read, at, 8)
    if (chunk.byteLength < 8) throw refuse(format ? 'it ends before its sound' : 'it ends before its format', 'wav-truncated')
    const name = text(chunk, 0)
    const length = chunk.getUint32(4, true)
    at += 8
    if (name === 'data') {
      if (!format) throw refuse('the sound comes before its format')
      if (!long || length !== 0xffffffff) return { ...format, dataAt: at, frames: countFrames(length, size - at, format) }
      if (longData === undefined) throw refuse('its ds64 chunk is missing')
      return { ...format, dataAt: at, frames: countFrames(longData, size - at, format, Infinity) }
    }
    if (name === 'fmt ') {
      if (length < 16 || length > MAX_FORMAT_CHUNK) throw refuse(`its format chunk claims ${length} bytes`)
      const body = await view(read, at, length)
      if (body.byteLength < length) throw refuse('it ends inside its format', 'wav-truncated')
      format = parseFormat(body)
    } else if (long && name === 'ds64') {
      const body = await view(read, at, Math.min(length, 28))
      if (body.byteLength < 16) throw refuse('its ds64 chunk is cut short', 'wav-truncated')
      longData = Number(body.getBigUint64(8, true))
    } else if (at + length > size) {
      throw refuse(`its chunk ${JSON.stringify(name)} claims ${length} bytes, and ${size - at} are left`, 'wav-truncated')
    }
    at += length + (length % 2) // chunks stand at even places
  }
  throw refuse(`no sound in its first ${MAX_CHUNKS} chunks`)
}

function parseFormat(body: DataView): Omit<WavFormat, 'dataAt' | 'frames'> {
  let coding = body.getUint16(0, true)
  const channels = body.getUint16(2, true)
  const rate = body.getUint32(4, true)
  const blockAlign = body.getUint16(12, true)
  const meaning = body.getUint16(14, true)
  // Sound of 12 or 20 bits stands in the upper bits of whole bytes.
  const bits = Math.ceil(meaning / 8) * 8
  if (coding === 0xfffe) {
    if (body.byteLength < 40) throw refuse('its extensible format is cut short', 'wav-truncated')
    const tail = Array.from({ length: 14 }, (_, i) => body.getUint8(26 + i).toString(16).padStart(2, '0')).join('')
    if (tail !== SUBFORMAT_TAIL) throw refuse('its extensible format names an unknown coding', 'wav-coding')
    coding = body.getUint16(24, true)
  }
  if (coding !== 1 && coding !== 3) throw refuse(`its sound is coded as ${CODINGS[coding] ?? `format ${coding}`}; only PCM and float are read`, 'wav-coding')
  if (channels < 1 || channels > MAX_CHANNELS) throw refuse(`${channels} channels (1 to ${MAX_CHANNELS} are read)`)
  if (rate < MIN_RATE || rate > MAX_RATE) throw refuse(`a sample rate of ${rate} Hz (${MIN_RATE} to ${MAX_RATE} are read)`)
  const float = coding === 3
  if (float ? meaning !== 32 && meaning !== 64 : bits < 8 || bits > 32) throw refuse(`${meaning} bits a ${float ? 'float' : 'PCM'} sample`, 'wav-coding')
  if (blockAlign !== (channels * bits) / 8) throw refuse(`${blockAlign} bytes a frame where ${channels} channels of ${bits} bits take ${(channels * bits) / 8}`)
  return { rate, channels, bits: bits as WavFormat['bits'], float }
}

function countFrames(claimed: number, left: number, format: Pick<WavFormat, 'channels' | 'bits'>, unknown = UNKNOWN_LENGTH): number {
  // Silence would be an answer, too, and a wrong one: the length is written last.
  if (claimed === 0 && left > 0) throw refuse(`its header tells of no sound, and ${left} bytes follow: whoever wrote it was stopped`, 'wav-truncated', 'Mend it, for example: sox --ignore-length in.wav out.wav')
  if (claimed > left && claimed < unknown) throw refuse(`its sound claims ${claimed} bytes, and ${left} are left`, 'wav-truncated')
  return Math.floor(Math.min(claimed, left) / ((format.channels * format.bits) / 8))
}

async function view(read: ReadAt, at: number, length: number): Promise<DataView> {
  const bytes = await read(at, length)
  return new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength)
}

function text(bytes: DataView, at: number): string {
  return String.fromCharCode(...[0, 1, 2, 3].map(i => bytes.getUint8(at + i)))
}

/** Whole frames of bytes to mono floats in [-1, 1]: channels are averaged; what is not a number becomes silence. */
export function decodeFrames(bytes: Uint8Array, format: WavFormat): Float32Array {
  const { channels, bits, float } = format
  const width = bits / 8
  const input = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength)
  const mono = new Float32Array(Math.floor(bytes.byteLength / (width * channels)))
  const sampleAt = float ? (v: DataView, i: number) => inRange(bits === 64 ? v.getFloat64(i, true) : v.getFloat32(i, true)) : bits === 8 ? (v: DataView, i: number) => (v.getUint8(i) - 128) / 128
    : bits === 16 ? (v: DataView, i: number) => v.getInt16(i, true) / 0x8000
    : bits === 24 ? (v: DataView, i: number) => (v.getUint16(i, true) | (v.getInt8(i + 2) << 16)) / 0x800000
    : (v: DataView, i: number) => v.getInt32(i, true) / 0x80000000
  for (let i = 0, at = 0; i < mono.length; i++) {
    let sum = 0
    for (let c = 0; c < channels; c++, at += width) sum += sampleAt(input, at)
    mono[i] = sum / channels
  }
  return mono
}

function inRange(value: number): number {
  return Number.isFinite(value) ? Math.max(-1, Math.min(1, value)) : 0
}
