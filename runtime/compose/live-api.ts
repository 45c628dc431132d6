import { ParleyError } from '../../base/errors.js'
import type { LogTail } from '../../base/log.js'
import type { DeviceApi } from '../commands/device-api.js'
import type { Config } from '../config/schema.js'
import { hideSecrets } from '../config/secrets.js'
import type { BundleChoice } from './bundle-choice.js'
import type { Runtime } from './runtime.js'

export interface LiveApiParts {
  /** Undefined until it listens. */
  readonly runtime: () => Runtime | undefined
  /** In force now. */
  readonly config: () => Config
  readonly tail: LogTail
  readonly bundles: BundleChoice
  /** Asks for an orderly end of the process after which something outside starts it again. */
  readonly restart: (reason: string) => void
}

/** The commands, carried out on the live runtime. */
export class LiveApi implements DeviceApi {
  readonly #parts: LiveApiParts

  constructor(parts: LiveApiParts) {
    this.#parts = parts
  }

  async say(text: string): Promise<void> {
    this.#runtime.conversation.say(text)
  }

  async ask(text: string): Promise<void> {
    this.#runtime.conversation.type(text)
  }

  stop(): void {
    this.#parts.runtime()?.hush()
  }

  async setVolume(volume: number): Promise<void> {
    this.#runtime.conversation.volume.set(volume)
  }

  async setMute(muted: boolean): Promise<void> {
    this.#runtime.conversation.volume.act({ name: 'volume', args: { change: muted ? 'mute' : 'unmute' } })
  }

  async snapshot(): Promise<object> {
    const { conversation, session } = this.#runtime
    const { ok, parts } = this.#runtime.health()
    return {
      ok, parts: parts.map(({ name, ok, idleMs, detail, counters }) => ({ name, ok, idleMs, ...(detail ? { detail } : {}), ...(counters ? { counters } : {}) })),
      bundle: session.name, provider: session.provider, respawns: session.respawns, lostTicks: conversation.lostTicks,
      volume: conversation.playout.volume, busy: this.#runtime.busy, uptimeS: Math.round(process.uptime()),
    }
  }

  async restart(reason: string): Promise<void> {
    this.#parts.restart(reason)
  }

  async logs(lines: number): Promise<readonly string[]> {
    return this.#parts.tail.last(lines)
  }

  /** Takes the bundle with the next start, and asks for that. Done already, it does nothing: a job may come twice. */
  async useBundle(name: string): Promise<void> {
    if (await this.#parts.bundles.use(name)) this.#parts.restart(`the bundle ${name}`)
  }

  async config(): Promise<object> {
    return hideSecrets(this.#parts.config()) as object
  }

  get #runtime(): Runtime {
    const runtime = this.#parts.runtime()
    if (!runtime) throw new ParleyError('not-ready', 'the device does not listen yet', { hint: 'Try again in a few seconds.' })
    return runtime
  }
}
