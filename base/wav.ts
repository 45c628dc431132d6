import { open, type FileHandle } from 'node:fs/promises'
import { ParleyError, isMissing } from './errors.js'
import { decodeFrames, parseWav, type WavFormat } from './wav-format.js'

export type { WavFormat } from './wav-format.js'
export { WavWriter, writeWav } from './wav-writer.js'

/** Mono sound in memory: floats in [-1, 1] at `rate` Hz. */
export interface Sound {
  readonly rate: number
  readonly samples: Float32Array
}

/** Reads a WAV file piece by piece, mixed down to mono. Any rate; PCM of up to 32 bits, float of 32 or 64; 1 to 64 channels. */
export class WavReader implements AsyncDisposable {
  readonly format: WavFormat
  readonly #file: FileHandle
  #next = 0

  private constructor(file: FileHandle, format: WavFormat) {
    this.#file = file
    this.format = format
  }

  /** Throws a ParleyError (`wav-missing`, `wav-truncated`, `wav-coding`, `wav-bad`) for everything that it cannot read. */
  static async open(path: string): Promise<WavReader> {
    let file: FileHandle
    try {
      file = await open(path, 'r')
    } catch (error) {
      throw new ParleyError(isMissing(error) ? 'wav-missing' : 'wav-bad', `cannot open ${path}`, { cause: error })
    }
    try {
      const stat = await file.stat()
      if (!stat.isFile()) throw new ParleyError('wav-bad', 'it is not a file', { hint: 'What comes through a pipe is written to a file first.' })
      return new WavReader(file, await parseWav(stat.size, (at, length) => readAt(file, at, length)))
    } catch (error) {
      await file.close()
      throw new ParleyError(error instanceof ParleyError ? error.code : 'wav-bad', `cannot read ${path}`, { cause: error })
    }
  }

  /** The next samples, at most `frames`; empty at the end. */
  async read(frames: number): Promise<Float32Array> {
    const { channels, bits, dataAt } = this.format
    const width = (channels * bits) / 8
    const count = Math.min(frames, this.format.frames - this.#next)
    const bytes = await readAt(this.#file, dataAt + this.#next * width, count * width)
    if (bytes.length < count * width) throw new ParleyError('wav-truncated', 'the file was cut while it was read')
    this.#next += count
    return decodeFrames(bytes, this.format)
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#file.close()
  }
}

/** What fits in memory without thought: 2.3 hours of 16-bit mono at 16 kHz. Longer sound is for WavReader. */
const MAX_IN_MEMORY = 256 * 1024 * 1024

/** A whole file as mono sound. */
export async function readWav(path: string): Promise<Sound> {
  await using reader = await WavReader.open(path)
  const { channels, bits, frames } = reader.format
  const bytes = (frames * channels * bits) / 8
  if (bytes > MAX_IN_MEMORY) throw new ParleyError('wav-too-big', `${path} has ${bytes} bytes of sound; at most ${MAX_IN_MEMORY} are read at once`)
  return { rate: reader.format.rate, samples: await reader.read(reader.format.frames) }
}

/** The same for bytes in memory. */
export async function decodeWav(bytes: Uint8Array): Promise<Sound> {
  const format = await parseWav(bytes.length, (at, length) => bytes.subarray(at, at + length))
  const width = (format.channels * format.bits) / 8
  return { rate: format.rate, samples: decodeFrames(bytes.subarray(format.dataAt, format.dataAt + format.frames * width), format) }
}

async function readAt(file: FileHandle, at: number, length: number): Promise<Uint8Array> {
  const bytes = Buffer.allocUnsafe(length)
  let got = 0
  while (got < length) {
    const { bytesRead } = await file.read(bytes, got, length - got, at + got)
    if (bytesRead === 0) break
    got += bytesRead
  }
  return bytes.subarray(0, got)
}
