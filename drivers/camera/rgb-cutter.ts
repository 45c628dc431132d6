import type { ImageFrame } from '../../base/frames.js'

/** Cuts a byte stream into packed RGB frames of `width * height * 3` bytes. A pipe's chunks know nothing of frames. */
export class RgbCutter {
  readonly #width: number
  readonly #height: number
  #rgb: Uint8Array<ArrayBuffer>
  #filled = 0
  #at = 0

  constructor(width: number, height: number) {
    this.#width = width
    this.#height = height
    this.#rgb = new Uint8Array(width * height * 3)
  }

  /** The frames that are whole with this chunk; each is stamped with the `now` at which its first byte came. */
  cut(chunk: Uint8Array, now: number): ImageFrame[] {
    const frames: ImageFrame[] = []
    for (let from = 0; from < chunk.length;) {
      if (this.#filled === 0) this.#at = now
      const part = chunk.subarray(from, from + this.#rgb.length - this.#filled)
      this.#rgb.set(part, this.#filled)
      this.#filled += part.length
      from += part.length
      if (this.#filled < this.#rgb.length) break
      frames.push({ at: this.#at, width: this.#width, height: this.#height, rgb: this.#rgb })
      this.#rgb = new Uint8Array(this.#rgb.length) // the frame that went out belongs to its consumer
      this.#filled = 0
    }
    return frames
  }
}
