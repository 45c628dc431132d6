import { setTimeout as sleep } from 'node:timers/promises'
import type { Cv, Mat } from './opencv-cv.js'
import { monotonicMs } from './opencv-wire.js'

/** Pictures one after the other; `undefined` at the end. Who gets one must release it. */
export interface Pictures {
  next(): Promise<Mat | undefined>
}

/** OpenCV's numbers for its back ends (videoio.hpp); the binding does not export all of them. */
const API = { any: 0, v4l2: 200, gstreamer: 1800, ffmpeg: 1900, images: 2000 }

const isStill = (source: number | string): source is string => typeof source === 'string' && !/[%!]|:\/\//.test(source) && /\.(jpe?g|png|bmp|webp|ppm|tiff?)$/i.test(source)
const isLive = (source: number | string): boolean => typeof source === 'number' || /^\/dev\/|!|^[a-z]+:\/\//i.test(source)

function apiOf(source: number | string): number {
  if (typeof source === 'number' || source.startsWith('/dev/')) return API.v4l2
  if (source.includes('!')) return API.gstreamer
  if (source.includes('%')) return API.images
  return API.ffmpeg
}

/** Opens a source of any kind. Blocks until it is open: the parent kills this process if that takes too long. Throws when it cannot. */
export function openPictures(cv: Cv, source: number | string, loop: boolean, fps: number): Pictures {
  if (isStill(source)) return new Still(cv, source, loop, fps)
  return isLive(source) ? new Live(cv, source) : new Recording(cv, source, loop, fps)
}

/** A capture whose `read` runs in libuv's pool, so that IPC goes on meanwhile. */
class Capture {
  readonly #capture

  constructor(cv: Cv, source: number | string) {
    this.#capture = new cv.VideoCapture(source, apiOf(source))
  }

  get(property: number): number {
    return this.#capture.get(property)
  }

  set(property: number, value: number): void {
    this.#capture.set(property, value)
  }

  async read(): Promise<Mat | undefined> {
    const mat = await new Promise<Mat>((resolve, reject) => this.#capture.readAsync((error, value) => (error ? reject(error) : resolve(value))))
    if (!mat.empty) return mat
    mat.release()
    return undefined
  }

  release(): void {
    this.#capture.release()
  }
}

class Live implements Pictures {
  readonly #capture: Capture

  constructor(cv: Cv, source: number | string) {
    this.#capture = new Capture(cv, source)
    if (apiOf(source) === API.v4l2) this.#capture.set(cv.CAP_PROP_BUFFERSIZE, 1) // the newest picture, not one from four ago
  }

  async next(): Promise<Mat> {
    const mat = await this.#capture.read()
    if (!mat) throw new Error('the source gives no more pictures')
    return mat
  }
}

/** A video or a sequence, in real time: read ahead of its time it would be over in a blink. */
class Recording implements Pictures {
  readonly #cv: Cv
  readonly #source: number | string
  readonly #loop: boolean
  readonly #periodMs: number
  #capture: Capture
  #dueAt = monotonicMs()
  #sinceOpen = 0

  constructor(cv: Cv, source: number | string, loop: boolean, fps: number) {
    this.#cv = cv
    this.#source = source
    this.#loop = loop
    this.#capture = new Capture(cv, source)
    const own = apiOf(source) === API.images ? 0 : this.#capture.get(cv.CAP_PROP_FPS)
    this.#periodMs = 1_000 / (own >= 1 && own <= 240 ? own : fps)
  }

  async next(): Promise<Mat | undefined> {
    const waitMs = this.#dueAt - monotonicMs()
    if (waitMs > 1) await sleep(waitMs)
    this.#dueAt += this.#periodMs
    const mat = await this.#capture.read()
    if (mat) this.#sinceOpen++
    if (mat || !this.#loop) return mat
    if (this.#sinceOpen === 0) throw new Error('the file holds no picture')
    this.#sinceOpen = 0
    this.#capture.release()
    this.#capture = new Capture(this.#cv, this.#source)
    return this.next()
  }
}

class Still implements Pictures {
  readonly #mat: Mat
  readonly #loop: boolean
  readonly #periodMs: number
  #given = false

  constructor(cv: Cv, path: string, loop: boolean, fps: number) {
    this.#mat = cv.imread(path)
    this.#loop = loop
    this.#periodMs = 1_000 / fps
  }

  async next(): Promise<Mat | undefined> {
    if (this.#given && !this.#loop) return undefined
    if (this.#given) await sleep(this.#periodMs)
    this.#given = true
    return this.#mat.copy()
  }
}
