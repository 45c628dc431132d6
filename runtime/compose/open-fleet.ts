import { systemClock } from '../../base/clock.js'
import type { Logger, LogTail } from '../../base/log.js'
import type { Loaded } from '../config/load.js'
import type { Config } from '../config/schema.js'
import type { TelemetrySettings } from '../telemetry/settings.js'
import { hardwareName } from '../telemetry/system.js'
import { BundleChoice } from './bundle-choice.js'
import { bundleJob } from './bundle-job.js'
import { Fleet } from './fleet.js'
import { LiveApi } from './live-api.js'
import type { Runtime } from './runtime.js'

/** What runs now, as the fleet sees it; filled in by the one who runs it. */
export interface Live {
  runtime?: Runtime
  config: Config
}

export interface Side {
  readonly fleet: Fleet
  readonly bundles: BundleChoice
}

/** The runtime's side of telemetry, wired. Loaded only where `[telemetry]` is: its libraries would delay every other start. */
export function openFleet(settings: TelemetrySettings, loaded: Loaded, version: string, live: Live, log: Logger, tail: LogTail, restart: (reason: string) => void): Side {
  const runtime = (): Runtime | undefined => live.runtime
  const bundles = new BundleChoice(loaded.config.bundle.folder, settings.folder)
  const api = new LiveApi({ runtime, config: () => live.config, tail, bundles, restart })
  const onConfig = (config: Config): void => { live.config = config }
  return { fleet: new Fleet({ settings, raw: loaded.raw, version, hardware: hardwareName(), clock: systemClock, log, api, runtime, onConfig, jobs: { 'bundle-use': bundleJob(bundles, restart) } }), bundles }
}
