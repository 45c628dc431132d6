import type { z } from 'zod'
import { Commands } from '../commands/commands.js'
import type { DeviceApi } from '../commands/device-api.js'
import { DesiredState, type DesiredOptions } from '../shadow/desired.js'
import { Jobs, type JobKind } from '../shadow/jobs.js'
import type { JsonObject } from '../shadow/merge.js'
import { SparkplugNode } from '../telemetry/sparkplug/node.js'
import { Telemetry, type TelemetryOptions } from '../telemetry/telemetry.js'

/** What may be changed from afar unless the runtime says otherwise. */
export const DESIRED_KEYS = ['facts', 'readings', 'playout.volume', 'conversation', 'tools.allow', 'health', 'log.level'] as const
/** Those of them that are read once, when a part is opened. */
export const RESTART_KEYS = ['conversation', 'health', 'tools.allow'] as const

export interface FleetDeviceOptions<C> extends TelemetryOptions {
  readonly api: DeviceApi
  readonly busy: () => boolean
  readonly schema: z.ZodType<C>
  /** The configuration file as it was read, before defaults. */
  readonly base: JsonObject
  readonly apply: DesiredOptions<C>['apply']
  readonly allowed?: readonly string[]
  readonly restart?: readonly string[]
  /** Besides `restart`. */
  readonly jobs?: Readonly<Record<string, JobKind>>
}

/**
 * A device as the fleet sees it, for the composition root: telemetry, commands, desired state, jobs, Sparkplug.
 * First `load`, which gives the configuration to run with; then, once the runtime runs, `start`.
 */
export class FleetDevice<C> implements AsyncDisposable {
  readonly telemetry: Telemetry
  readonly #options: FleetDeviceOptions<C>
  readonly #desired: DesiredState<C>
  readonly #commands: Commands
  readonly #jobs: Jobs
  readonly #sparkplug: SparkplugNode | undefined

  constructor(options: FleetDeviceOptions<C>) {
    const { settings, api, clock, log } = options
    this.#options = options
    const telemetry = this.telemetry = new Telemetry(options)
    const { link, topics, time } = telemetry
    const shared = { link, topics, folder: settings.folder, clock, log }
    this.#desired = new DesiredState({ ...shared, schema: options.schema, base: options.base, apply: options.apply, allowed: options.allowed ?? DESIRED_KEYS, restart: options.restart ?? RESTART_KEYS })
    this.#commands = new Commands({ ...shared, api, allowed: settings.commands, onDone: done => void telemetry.add('event', { event: 'command', ...done }) })
    this.#jobs = new Jobs({
      ...shared, busy: options.busy, kinds: { ...ownJobs(api), ...options.jobs }, wall: () => (time.trusted ? time.wall() : undefined),
      ...(settings.maintenance ? { window: settings.maintenance } : {}),
      onChange: ({ id, kind, state, traceparent }) => {
        const change = { job: id, kind, state, ...(traceparent ? { traceparent } : {}) }
        log.info(change, 'job')
        void telemetry.add('event', { event: 'job', ...change })
      },
    })
    this.#sparkplug = settings.sparkplug && new SparkplugNode({ telemetry, settings, sparkplug: settings.sparkplug, clock, log, ...(options.random ? { random: options.random } : {}) })
  }

  /** The configuration with what is desired merged in. From here on telemetry hears what happens. Throws only if the file itself is wrong. */
  async load(): Promise<C> {
    await this.telemetry.open()
    return this.#desired.load()
  }

  /** Between `load` and `start`: a key of what was loaded could not be put in force. */
  missed(key: string, why: string): void {
    this.#desired.missed(key, why)
  }

  /** After `load`: connects, but does not wait for the broker. */
  async start(): Promise<void> {
    await this.#commands.start()
    this.#desired.start()
    await this.#jobs.start()
    await this.telemetry.start()
    this.#sparkplug?.start()
  }

  async close(): Promise<void> {
    await this.#jobs.close()
    await this.#commands.close()
    await this.#desired.close()
    await this.#sparkplug?.close()
    await this.telemetry.close()
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.close()
  }
}

function ownJobs(api: DeviceApi): Record<string, JobKind> {
  return {
    // It ends with the process, so that `done` is what its interruption means; a runtime that stays up lets it time out.
    restart: { disturbs: true, interrupted: 'done', run: (args, signal) => api.restart(String(args['reason'] ?? 'job')).then(() => untilAborted(signal)) },
  }
}

function untilAborted(signal: AbortSignal): Promise<never> {
  return new Promise((_, reject) => signal.addEventListener('abort', () => reject(signal.reason), { once: true }))
}
