import { pause } from '../../base/clock.js'
import { z } from 'zod'
import type { Host } from '../contract.js'
import { childAbort, withTimeout } from '../../base/abort.js'
import { ParleyError } from '../../base/errors.js'
import { toPcm16 } from '../../base/pcm.js'
import { checkConfig, type ChildConfig } from './child-protocol.js'
import { PacedSpeaker } from './paced-speaker.js'
import type { Sink } from './sink.js'
import { SpeakerProcess } from './speaker-process.js'

export const schema = z.strictObject({
  driver: z.literal('speaker'),
  name: z.string().min(1).default('speaker'),
  /** Hz of what is written to it; the device converts. */
  rate: z.number().int().min(8_000).max(192_000).default(16_000),
  channels: z.union([z.literal(1), z.literal(2)]).default(1),
  /** ALSA's name, stable as `plughw:CARD=Name,DEV=0` (`aplay -L`); a card's number is not. Undefined: the card that the runtime finds (runtime/compose/sound-card.ts). */
  device: z.string().regex(/^[\w][\w.:=,@+-]*$/, 'an ALSA name of `aplay -L`').optional(),
})
export type Config = z.infer<typeof schema>

/** Node starts in ~50 ms and ALSA opens in ~10; a busy board may need much longer. */
const OPEN_LIMIT_MS = 5_000
const BACKOFF_MS = { first: 100, most: 500 }
/** The package leaks ~350 B a write: after this many (17 minutes of speech, 18 MB) the child is replaced at the next pause. */
const WRITES_A_LIFE = 50_000

/** Keeps a speaker child alive: a crash costs the sound that it had, never more. */
export class ForkedSink implements Sink {
  readonly #config: ChildConfig
  readonly #host: Host
  readonly #closing: AbortController
  #process: SpeakerProcess
  /** Resolves when the child at hand has been replaced, or never will be. */
  #next: Promise<void> = Promise.resolve()
  #waitMs = BACKOFF_MS.first
  /** Grows with every flush. */
  #turn = 0
  #writes = 0
  #crashes = 0
  #running: Promise<void>
  onGone: (() => void) | undefined

  constructor(config: ChildConfig, host: Host) {
    checkConfig(config)
    this.#config = config
    this.#host = host
    this.#closing = childAbort(host.signal)
    this.#process = new SpeakerProcess(config)
    this.#running = this.#keepAlive()
  }

  /** Resolves when the device is open. */
  async open(): Promise<void> {
    const first = this.#process
    try {
      await withTimeout(first.ready, OPEN_LIMIT_MS, 'opening the sound card')
    } catch (error) {
      await this.close()
      throw new ParleyError('device-missing', `speaker ${this.#config.device ?? 'default'} cannot be opened`, { cause: error, hint: 'Is it plugged in? `parley devices` lists what there is. It needs: apt-get install libasound2-dev libasound2-plugins, then npm ci' })
    }
  }

  /** Waits for the next child where there is none, unless a flush comes first: only what a dead child had is lost. */
  async send(chunk: Float32Array): Promise<void> {
    const turn = this.#turn
    for (;;) {
      const process = this.#process
      const open = await process.ready.then(() => process.alive, () => false)
      if (turn !== this.#turn) throw new ParleyError('flushed', 'taken back by a flush')
      if (open) {
        this.#writes++
        return process.play(spread(toPcm16(chunk), this.#config.channels))
      }
      if (this.#closing.signal.aborted) throw new ParleyError('closed', 'the speaker is closed')
      await this.#next
    }
  }

  silence(): void {
    this.#turn++
    if (this.#writes > WRITES_A_LIFE) this.#process.kill()
    else this.#process.flush()
  }

  restart(): void {
    this.#turn++
    if (this.#process.opened) this.#process.kill()
  }

  counters(): Record<string, number> {
    return { crashes: this.#crashes }
  }

  get pid(): number | undefined {
    return this.#process.pid
  }

  async close(): Promise<void> {
    this.#closing.abort()
    this.#process.kill()
    await this.#running
  }

  async #keepAlive(): Promise<void> {
    while (!this.#closing.signal.aborted) {
      this.#next = this.#replace()
      await this.#next
    }
  }

  async #replace(): Promise<void> {
    const { signal } = this.#closing
    withTimeout(this.#process.ready, OPEN_LIMIT_MS, 'opening the sound card').catch(() => { if (!this.#process.opened) this.#process.kill() })
    await this.#process.gone
    if (signal.aborted) return
    this.#crashes++
    this.onGone?.()
    // One that had opened the device is replaced soon; one that could not is not tried in a tight loop.
    const waitMs = this.#waitMs = this.#process.opened ? BACKOFF_MS.first : Math.min(this.#waitMs * 2, BACKOFF_MS.most)
    this.#host.log.warn({ driver: 'speaker', why: this.#process.why, retryMs: waitMs }, 'speaker process ended: started again')
    await pause(this.#host.clock, waitMs, signal)
    if (signal.aborted) return
    this.#writes = 0
    this.#process = new SpeakerProcess(this.#config)
  }
}

/** The sound is the same in all channels. */
function spread(mono: Buffer, channels: number): Uint8Array {
  if (channels === 1) return mono
  const all = Buffer.allocUnsafe(mono.length * channels)
  for (let i = 0; i < mono.length; i += 2) for (let c = 0; c < channels; c++) mono.copy(all, i * channels + c * 2, i, i + 2)
  return all
}

export class ForkedSpeaker extends PacedSpeaker {
  readonly #sink: ForkedSink

  constructor(config: Config, host: Host, sink: ForkedSink) {
    super(config.name, config.rate, sink, host)
    this.#sink = sink
  }

  /** The child's process, for tests that kill it. */
  get pid(): number | undefined {
    return this.#sink.pid
  }
}

/** The sound card, through the package `speaker` in its own process. Throws `device-missing`. */
export async function open(config: Config, host: Host): Promise<ForkedSpeaker> {
  const { rate, channels, device } = config
  const sink = new ForkedSink({ rate, channels, ...(device ? { device } : {}) }, host)
  await sink.open()
  host.log.debug({ driver: config.name, rate, channels }, 'speaker open')
  return new ForkedSpeaker(config, host, sink)
}
