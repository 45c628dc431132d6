import type { ChildProcess } from 'node:child_process'
import { ParleyError } from '../../base/errors.js'
import { kill } from '../../base/kill.js'

/** Sound taken from the server, with the time of its samples. */
export class Recording implements AsyncDisposable {
  readonly rate = 16_000
  readonly #child: ChildProcess
  readonly #chunks: Float32Array[] = []
  #startAt = Infinity
  #count = 0

  private constructor(child: ChildProcess) {
    this.#child = child
  }

  static async begin(child: ChildProcess): Promise<Recording> {
    const recording = new Recording(child)
    await new Promise<void>((resolve, reject) => {
      child.once('error', reject)
      child.once('exit', () => reject(new ParleyError('sound-server', 'the recorder ended before its first sample')))
      child.stdout?.on('data', (bytes: Buffer) => { recording.#take(bytes); resolve() })
    })
    return recording
  }

  /** Monotonic ms of the first sample (±10 ms: the earliest that any chunk's arrival allows). */
  get startAt(): number {
    return this.#startAt
  }

  samples(): Float32Array {
    const all = new Float32Array(this.#count)
    let at = 0
    for (const chunk of this.#chunks) { all.set(chunk, at); at += chunk.length }
    return all
  }

  /** Ms (monotonic) of the last sample louder than `level`; undefined when none is. */
  lastSoundAt(level = 0.01): number | undefined {
    const index = this.samples().findLastIndex(s => Math.abs(s) > level)
    return index < 0 ? undefined : this.#startAt + (index * 1000) / this.rate
  }

  /** Ms (monotonic) of the first sample louder than `level` at or after `from`. */
  firstSoundAt(level = 0.01, from = 0): number | undefined {
    const skip = Math.max(0, Math.ceil(((from - this.#startAt) * this.rate) / 1000))
    const index = this.samples().findIndex((s, i) => i >= skip && Math.abs(s) > level)
    return index < 0 ? undefined : this.#startAt + (index * 1000) / this.rate
  }

  #take(bytes: Buffer): void {
    const count = bytes.length >> 2 // pacat writes whole samples
    this.#chunks.push(new Float32Array(bytes.buffer.slice(bytes.byteOffset, bytes.byteOffset + count * 4)))
    this.#count += count
    this.#startAt = Math.min(this.#startAt, performance.now() - (this.#count * 1000) / this.rate)
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await kill(this.#child)
  }
}
