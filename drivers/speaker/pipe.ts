import { spawn, type ChildProcess } from 'node:child_process'
import { once } from 'node:events'
import { z } from 'zod'
import type { Host } from '../contract.js'
import { ParleyError, isMissing } from '../../base/errors.js'
import { toPcm16 } from '../../base/pcm.js'
import { PacedSpeaker } from './paced-speaker.js'
import type { Sink } from './sink.js'

export const schema = z.strictObject({
  driver: z.literal('pipe'),
  name: z.string().min(1).default('speaker'),
  /** `pacat` plays through PulseAudio or PipeWire, `aplay` through ALSA. */
  program: z.enum(['pacat', 'aplay']).default('pacat'),
  /** Hz of what is written to it; the device converts. */
  rate: z.number().int().min(8_000).max(192_000).default(16_000),
  /** A stable name: of `pactl list short sinks` for pacat, of `aplay -L` for aplay. Undefined is the default device. */
  device: z.string().regex(/^[\w@][\w.:=,@+-]*$/, 'a device name').optional(),
})
export type Config = z.infer<typeof schema>

const APT = { pacat: 'pulseaudio-utils', aplay: 'alsa-utils' }
/** A player that cannot reach its device ends at once; trying more often than this would only burn power. */
const RESPAWN_MS = 100

function argsOf({ program, rate, device }: Config): string[] {
  return program === 'pacat'
    ? ['--playback', '--raw', '--format=s16le', `--rate=${rate}`, '--channels=1', '--latency-msec=40', '--client-name=parley', ...(device ? [`--device=${device}`] : [])]
    : ['-q', '-t', 'raw', '-f', 'S16_LE', '-r', String(rate), '-c', '1', '--buffer-time=120000', '--period-time=20000', '--start-delay=1', ...(device ? ['-D', device] : []), '-'] // µs
}

/**
 * A player program fed through its standard input. A flush kills it, which is silent in ≤ 5 ms, and starts the next one,
 * so that it is waiting when the next answer begins.
 */
class PipeSink implements Sink {
  readonly #config: Config
  readonly #host: Host
  #child: ChildProcess | undefined
  #spawnedAt = -Infinity
  #failure: unknown
  #crashes = 0
  #closed = false
  onGone: (() => void) | undefined

  constructor(config: Config, host: Host) {
    this.#config = config
    this.#host = host
  }

  /** Starts the player. Throws `missing-program`. */
  async open(): Promise<void> {
    const child = this.#spawn()
    try {
      await once(child, 'spawn')
    } catch (error) {
      const { program } = this.#config
      throw new ParleyError(isMissing(error) ? 'missing-program' : 'device-missing', `${program} cannot be started`, { cause: error, hint: `apt-get install ${APT[program]}` })
    }
  }

  async send(chunk: Float32Array): Promise<void> {
    const child = this.#child ?? (await this.#again())
    const stdin = child.stdin
    if (!stdin) throw new ParleyError('device-lost', 'the player has no input')
    await new Promise<void>((resolve, reject) => {
      stdin.write(toPcm16(chunk), error => (error ? reject(new ParleyError('device-lost', 'the player ended', { cause: error })) : resolve()))
    })
  }

  silence(): void {
    this.#stop()
    // Starting a program takes this process 5–10 ms, which a flush has no time for.
    setImmediate(() => { if (!this.#closed && !this.#child) this.#spawn() })
  }

  restart(): void {
    this.silence()
  }

  counters(): Record<string, number> {
    return { crashes: this.#crashes }
  }

  get pid(): number | undefined {
    return this.#child?.pid
  }

  async close(): Promise<void> {
    this.#closed = true
    const child = this.#child
    const gone = child && child.exitCode === null && child.signalCode === null && child.pid !== undefined ? once(child, 'exit') : undefined
    this.#stop()
    await gone
  }

  #stop(): void {
    const child = this.#child
    this.#child = undefined
    child?.kill('SIGKILL')
  }

  async #again(): Promise<ChildProcess> {
    const wait = this.#spawnedAt + RESPAWN_MS - this.#host.clock.now()
    if (wait > 0) await this.#host.clock.sleep(wait, this.#host.signal)
    if (this.#closed) throw new ParleyError('closed', 'the player is closed', { cause: this.#failure })
    return this.#child ?? this.#spawn()
  }

  #spawn(): ChildProcess {
    const child = spawn(this.#config.program, argsOf(this.#config), { stdio: ['pipe', 'ignore', 'ignore'] })
    this.#child = child
    this.#spawnedAt = this.#host.clock.now()
    child.stdin.on('error', () => {}) // each write hears of its own failure
    const lost = (why: unknown): void => {
      if (this.#child !== child) return // a flush killed it
      this.#child = undefined
      this.#failure = why
      this.#crashes++
      this.onGone?.()
      this.#host.log.warn({ driver: this.#config.name, program: this.#config.program }, 'player ended')
    }
    child.once('error', lost)
    child.once('exit', code => lost(code))
    return child
  }
}

export class PipeSpeaker extends PacedSpeaker {
  readonly #sink: PipeSink

  constructor(config: Config, host: Host, sink: PipeSink) {
    super(config.name, config.rate, sink, host)
    this.#sink = sink
  }

  /** The player's process, for tests that kill it. */
  get pid(): number | undefined {
    return this.#sink.pid
  }
}

/** A player program of the sound system: the fallback where the package `speaker` is not built. */
export async function open(config: Config, host: Host): Promise<PipeSpeaker> {
  const sink = new PipeSink(config, host)
  await sink.open()
  return new PipeSpeaker(config, host, sink)
}
