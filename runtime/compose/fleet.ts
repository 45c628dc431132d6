import { createHash } from 'node:crypto'
import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { pause, type Clock } from '../../base/clock.js'
import type { Logger } from '../../base/log.js'
import { updateJob } from '../../deploy/update/job.js'
import type { DeviceApi } from '../commands/device-api.js'
import { configSchema, type Config } from '../config/schema.js'
import type { ConversationEvent } from '../conversation/events.js'
import { FleetDevice } from '../fleet/device.js'
import type { JobKind } from '../shadow/jobs.js'
import type { JsonObject } from '../shadow/merge.js'
import { LiveSource } from '../telemetry/live-source.js'
import type { TelemetrySettings } from '../telemetry/settings.js'
import type { Runtime } from './runtime.js'

/** How often telemetry hears how the parts are. It sends that when its own time has come, ms. */
const LOOK_MS = 5_000

export interface FleetParts {
  readonly settings: TelemetrySettings
  /** The configuration file before defaults. */
  readonly raw: JsonObject
  readonly version: string
  /** For people: `NVIDIA Jetson Orin Nano`. */
  readonly hardware?: string | undefined
  readonly clock: Clock
  readonly log: Logger
  readonly api: DeviceApi
  readonly runtime: () => Runtime | undefined
  /** Told of what has come into force. */
  readonly onConfig: (config: Config) => void
  /** Besides `restart` and `update`. */
  readonly jobs?: Readonly<Record<string, JobKind>>
  /** For tests: jitter. */
  readonly random?: () => number
}

/**
 * The runtime's side of telemetry. First `load`, which gives the configuration to run with; `start`, once the runtime runs;
 * every event of the conversation to `take`, from `load` on: what a part says while it is opened is not said again.
 */
export class Fleet implements AsyncDisposable {
  readonly device: FleetDevice<Config>
  readonly #parts: FleetParts
  readonly #source = new LiveSource()
  readonly #closing = new AbortController()
  #looking: Promise<void> | undefined

  constructor(parts: FleetParts) {
    const { settings, raw, version, hardware, clock, log, api, runtime, onConfig, jobs, random } = parts
    this.#parts = parts
    this.device = new FleetDevice<Config>({
      settings, source: this.#source, clock, log, version, api, schema: configSchema, base: raw, ...(hardware ? { hardware } : {}), ...(random ? { random } : {}),
      // Before it listens nobody talks with it, and a job that disturbs would end what just begins.
      busy: () => runtime()?.busy ?? true,
      jobs: { update: updateJob({ clock }), ...jobs },
      apply: async (config, changed) => {
        await runtime()?.apply(config, changed)
        onConfig(config)
      },
    })
  }

  async load(): Promise<Config> {
    return this.device.load()
  }

  /** `bundle`: its folder. Does not wait for the broker. */
  async start(bundle: string): Promise<void> {
    await this.device.start()
    const hash = await readFile(join(bundle, 'bundle.json')).then(bytes => createHash('sha256').update(bytes).digest('hex'), () => undefined) // a model of a test has none
    this.#looking = this.#look(hash)
  }

  take(event: ConversationEvent): void {
    this.#source.take(event)
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#closing.abort()
    await this.#looking
    await this.device.close()
  }

  async #look(bundleHash: string | undefined): Promise<void> {
    const { signal } = this.#closing
    while (!signal.aborted) {
      const runtime = this.#parts.runtime()
      if (runtime) {
        const { session, heat } = runtime
        const { temperature, powerMode } = heat.thermal
        this.#source.tell({ type: 'about', bundle: session.name, provider: session.provider, ...(bundleHash ? { bundleHash } : {}), tickBudgetMs: heat.budget.stepMs, ...(powerMode ? { powerMode } : {}) })
        this.#source.health(runtime.health(), session.respawns)
        if (temperature !== undefined) this.#source.tell({ type: 'reading', source: 'temperature', value: temperature, unit: 'Cel' })
      }
      await pause(this.#parts.clock, LOOK_MS, signal)
    }
  }
}
