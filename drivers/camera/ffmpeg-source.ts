import { spawn } from 'node:child_process'
import type { Clock } from '../../base/clock.js'
import { ParleyError } from '../../base/errors.js'
import type { FrameSource, Sink } from './supervised-camera.js'
import { RgbCutter } from './rgb-cutter.js'

export interface FfmpegInput {
  /** The arguments up to and with `-i SOURCE`. */
  readonly input: readonly string[]
  readonly width: number
  readonly height: number
  readonly fps: number
  /** A recording may end; a live source that ends is lost. */
  readonly finite: boolean
}

/** Scales, thins out and gives packed RGB on stdout; one thread is enough for small pictures. */
function ffmpegArguments({ input, width, height, fps }: FfmpegInput): string[] {
  const filter = `fps=${fps},scale=${width}:${height}:flags=area`
  return ['-hide_banner', '-loglevel', 'error', '-nostdin', '-threads', '1', ...input, '-an', '-sn', '-vf', filter, '-threads', '1', '-pix_fmt', 'rgb24', '-f', 'rawvideo', 'pipe:1']
}

/** Frames from an ffmpeg child. `at` is the time at which a frame's first byte came: capture itself is hidden in ffmpeg. */
export class FfmpegSource implements FrameSource {
  readonly #input: FfmpegInput
  readonly #clock: Clock

  constructor(input: FfmpegInput, clock: Clock) {
    this.#input = input
    this.#clock = clock
  }

  run(sink: Sink, signal: AbortSignal): Promise<void> {
    return new Promise((resolve, reject) => {
      if (signal.aborted) return reject(signal.reason)
      const child = spawn('ffmpeg', ffmpegArguments(this.#input), { stdio: ['ignore', 'pipe', 'pipe'] })
      const kill = (): void => void child.kill('SIGKILL')
      signal.addEventListener('abort', kill, { once: true })
      const cutter = new RgbCutter(this.#input.width, this.#input.height)
      child.stdout.on('data', (chunk: Buffer) => {
        sink.alive()
        for (const frame of cutter.cut(chunk, this.#clock.now())) sink.frame(frame)
      })
      let words = ''
      child.stderr.setEncoding('utf8').on('data', (text: string) => { words = (words + text).slice(-500) })
      let cause: Error | undefined
      child.on('error', error => { cause = error })
      child.on('close', (code, killedBy) => {
        signal.removeEventListener('abort', kill)
        if (signal.aborted) reject(signal.reason)
        else if (code === 0 && this.#input.finite) resolve()
        else if (cause) reject(new ParleyError('no-ffmpeg', 'ffmpeg cannot be started', { cause, hint: 'Install it: apt-get install ffmpeg' }))
        else reject(new ParleyError('camera-lost', `ffmpeg ended (${killedBy ?? `code ${code}`}): ${words.trim().split('\n').at(-1) || 'the source ended'}`))
      })
    })
  }
}
