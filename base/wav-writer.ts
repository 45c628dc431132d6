import { open, rename, rm, stat, type FileHandle } from 'node:fs/promises'
import { randomBytes } from 'node:crypto'
import { basename, dirname, join } from 'node:path'
import { ParleyError } from './errors.js'
import { syncFolder } from './files.js'
import { toPcm16 } from './pcm.js'

/** Seconds of 16-bit mono at 16 kHz that fit 4 GB are 37 hours; a file may not grow beyond the header's 32 bits. */
const MAX_DATA = 0xffffffff - 36

/** Writes mono 16-bit PCM as it comes. The file appears under its name, whole and on disk, when it is finished; never half. */
export class WavWriter implements AsyncDisposable {
  readonly rate: number
  readonly #path: string
  readonly #temp: string
  readonly #file: FileHandle
  #last: Promise<void> = Promise.resolve()
  #bytes = 0
  #closed = false

  private constructor(path: string, temp: string, file: FileHandle, rate: number) {
    this.#path = path
    this.#temp = temp
    this.#file = file
    this.rate = rate
  }

  static async open(path: string, rate: number): Promise<WavWriter> {
    if (!Number.isInteger(rate) || rate < 1) throw new ParleyError('wav-bad', `a WAV file of ${rate} Hz cannot be written`)
    // The name is taken only at the end: what stands in its way is told before a conversation is held for nothing.
    if ((await stat(path).catch(() => undefined))?.isDirectory()) throw new ParleyError('wav-write', `cannot write ${path}: it is a folder`, { hint: 'Name a file in it.' })
    const temp = join(dirname(path), `.${basename(path)}.${randomBytes(6).toString('hex')}.tmp`)
    const file = await open(temp, 'wx').catch((error: unknown) => {
      throw new ParleyError('wav-write', `cannot write ${path}`, { cause: error, hint: 'Does its folder exist, and may it be written?' })
    })
    const writer = new WavWriter(path, temp, file, rate)
    await file.write(wavHeader(rate, 0), 0, 44, 0)
    return writer
  }

  /** Samples given so far. */
  get frames(): number {
    return this.#bytes / 2
  }

  /** Appends samples in [-1, 1], in the order of the calls; resolves when they are with the operating system. */
  write(samples: Float32Array): Promise<void> {
    if (this.#closed) return Promise.reject(new ParleyError('wav-write', `${this.#path} is already finished`))
    if (this.#bytes + samples.length * 2 > MAX_DATA) return Promise.reject(new ParleyError('wav-write', `${this.#path} would grow over 4 GB`))
    const bytes = toPcm16(samples)
    const at = 44 + this.#bytes
    this.#bytes += bytes.length
    this.#last = this.#last.then(async () => { await this.#file.write(bytes, 0, bytes.length, at) })
    return this.#last
  }

  /** Corrects the header and moves the file to its name. May be called again. */
  async finish(): Promise<void> {
    if (this.#closed) return
    this.#closed = true
    try {
      await this.#last
      await this.#file.write(wavHeader(this.rate, this.#bytes), 0, 44, 0)
      await this.#file.sync()
      await this.#file.close()
      await rename(this.#temp, this.#path)
    } catch (error) {
      await this.#discard()
      throw new ParleyError('wav-write', `cannot write ${this.#path}`, { cause: error })
    }
    await syncFolder(dirname(this.#path))
  }

  /** Throws away what was not finished. */
  async [Symbol.asyncDispose](): Promise<void> {
    if (this.#closed) return
    this.#closed = true
    await this.#last.catch(() => {})
    await this.#discard()
  }

  async #discard(): Promise<void> {
    await this.#file.close().catch(() => {}) // it may be closed already; the file is going anyway
    await rm(this.#temp, { force: true })
  }
}

export async function writeWav(path: string, sound: { readonly rate: number; readonly samples: Float32Array }): Promise<void> {
  await using writer = await WavWriter.open(path, sound.rate)
  await writer.write(sound.samples)
  await writer.finish()
}

function wavHeader(rate: number, dataBytes: number): Buffer {
  const head = Buffer.alloc(44)
  head.write('RIFF', 0, 'ascii')
  head.writeUInt32LE(36 + dataBytes, 4)
  head.write('WAVEfmt ', 8, 'ascii')
  head.writeUInt32LE(16, 16)
  head.writeUInt16LE(1, 20) // PCM
  head.writeUInt16LE(1, 22) // mono
  head.writeUInt32LE(rate, 24)
  head.writeUInt32LE(rate * 2, 28)
  head.writeUInt16LE(2, 32)
  head.writeUInt16LE(16, 34)
  head.write('data', 36, 'ascii')
  head.writeUInt32LE(dataBytes, 40)
  return head
}
