import { execFileSync } from 'node:child_process'
import { mkdtempSync, readFileSync, readdirSync } from 'node:fs'
import { createServer, type ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import pino from 'pino'
import { withTimeout } from '../../base/abort.js'
import { systemClock } from '../../base/clock.js'
import type { ImageFrame } from '../../base/frames.js'
import type { PublishingHost } from '../../drivers/actuators/mqtt.js'
import { findBinding } from '../../drivers/camera/opencv-binding.js'

/** A host in real time whose runtime closes when `stop` is called. */
export function host(more: Partial<PublishingHost> = {}): { host: PublishingHost; stop: () => void } {
  const closing = new AbortController()
  return { host: { clock: systemClock, log: pino({ level: 'silent' }), signal: closing.signal, ...more }, stop: () => closing.abort() }
}

export const tempFolder = (): string => mkdtempSync(join(tmpdir(), 'parley-test-'))

/** Why a test that needs the OpenCV binding is skipped, or false. */
export function withoutOpencv(): string | false {
  try {
    findBinding()
    return false
  } catch {
    return 'the OpenCV binding is not set up: npm run setup:camera'
  }
}

/** The first item for which `good` holds, or a failure after `ms`. */
export async function first<T>(items: AsyncIterable<T>, ms: number, good: (item: T) => boolean = () => true): Promise<T> {
  const iterator = items[Symbol.asyncIterator]()
  const search = async (): Promise<T> => {
    for (;;) {
      const { done, value } = await iterator.next()
      if (done) throw new Error('it ended before that')
      if (good(value)) return value
    }
  }
  return withTimeout(search(), ms, 'the item')
}

/** Waits until something holds, looking every 5 ms; returns how long that took, ms. */
export async function until(holds: () => boolean, ms: number, what: string): Promise<number> {
  const began = performance.now()
  while (!holds()) {
    if (performance.now() - began > ms) throw new Error(`not within ${ms} ms: ${what}`)
    await systemClock.sleep(5)
  }
  return performance.now() - began
}

/** Living children of this process, as `pid name`. */
export function children(): string[] {
  const found: string[] = []
  for (const pid of readdirSync('/proc').filter(n => /^\d+$/.test(n))) {
    try {
      const stat = readFileSync(`/proc/${pid}/stat`, 'utf8')
      const [state, parent] = stat.slice(stat.lastIndexOf(')') + 2).split(' ')
      if (Number(parent) === process.pid && state !== 'Z') found.push(`${pid} ${stat.slice(stat.indexOf('(') + 1, stat.lastIndexOf(')'))}`)
    } catch {
      // it ended while we looked
    }
  }
  return found
}

export const ffmpeg = (...args: string[]): Buffer => execFileSync('ffmpeg', ['-v', 'error', '-y', '-threads', '1', ...args], { maxBuffer: 1e8 })

/** A JPEG of 320×240: all red, so that a swap of red and blue is seen. */
export const redJpeg = (): Buffer => ffmpeg('-f', 'lavfi', '-i', 'color=red:size=320x240', '-frames:v', '1', '-f', 'image2pipe', '-c:v', 'mjpeg', '-')
/** The same size with a real face (test/drivers/fixtures/README.md). */
export const faceJpeg = (): Buffer => ffmpeg('-i', 'test/drivers/fixtures/face.jpg', '-vf', 'pad=320:240:40:0', '-frames:v', '1', '-f', 'image2pipe', '-c:v', 'mjpeg', '-')

/** JPEG is not exact; red and blue are never mistaken. */
export function isRed({ rgb, width, height }: ImageFrame): boolean {
  const middle = 3 * (width * (height >> 1) + (width >> 1))
  return rgb.length === width * height * 3 && rgb[middle]! > 200 && rgb[middle + 1]! < 60 && rgb[middle + 2]! < 60
}

/** A network camera: MJPEG over HTTP at 15 frames a second. */
export class NetworkCamera implements AsyncDisposable {
  picture: Buffer
  /** While true it keeps its connections and sends nothing. */
  stalled = false
  readonly #viewers = new Set<ServerResponse>()
  readonly #timer: NodeJS.Timeout
  readonly #server = createServer((_, response) => {
    response.writeHead(200, { 'content-type': 'multipart/x-mixed-replace; boundary=frame' })
    this.#viewers.add(response)
    response.on('close', () => this.#viewers.delete(response))
  })

  constructor(picture: Buffer) {
    this.picture = picture
    this.#timer = setInterval(() => {
      if (this.stalled) return
      for (const viewer of this.#viewers) {
        viewer.write(`--frame\r\nContent-Type: image/jpeg\r\nContent-Length: ${this.picture.length}\r\n\r\n`)
        viewer.write(this.picture)
        viewer.write('\r\n')
      }
    }, 66)
  }

  async open(port = 0): Promise<string> {
    await new Promise<void>(resolve => this.#server.listen(port, '127.0.0.1', resolve))
    return `http://127.0.0.1:${(this.#server.address() as AddressInfo).port}/`
  }

  /** As if its plug were pulled. */
  hangUp(): void {
    for (const viewer of this.#viewers) viewer.destroy()
  }

  async [Symbol.asyncDispose](): Promise<void> {
    clearInterval(this.#timer)
    this.hangUp()
    await new Promise<void>(resolve => void this.#server.close(() => resolve()))
  }
}
