import { systemClock } from '../../base/clock.js'
import { LogTail } from '../../base/log.js'
import { BundleChoice } from '../../runtime/compose/bundle-choice.js'
import { Fleet } from '../../runtime/compose/fleet.js'
import { LiveApi } from '../../runtime/compose/live-api.js'
import type { Runtime } from '../../runtime/compose/runtime.js'
import { configSchema, type Config } from '../../runtime/config/schema.js'
import type { JsonObject } from '../../runtime/shadow/merge.js'
import { silent, soon } from '../telemetry/kit.js'

/** What the fleet's side reads of the device, as it is now; whoever opens the runtime puts it here. */
export interface Live {
  config: Config
  runtime: Runtime | undefined
}

export interface LiveParts {
  readonly tail?: LogTail
  readonly restart?: (reason: string) => void
}

/** A device's side of the fleet over its configuration as it was written, `raw`; what is kept lies in `folder`/telemetry. */
export function liveFleet(raw: JsonObject, folder: string, { tail = new LogTail(), restart = () => {} }: LiveParts = {}): { live: Live; fleet: Fleet } {
  const live: Live = { config: configSchema.parse(raw), runtime: undefined }
  const bundles = new BundleChoice(live.config.bundle.folder, `${folder}/telemetry`)
  const api = new LiveApi({ runtime: () => live.runtime, config: () => live.config, tail, bundles, restart })
  const fleet = new Fleet({ settings: live.config.telemetry!, raw, version: '9.9.9', clock: systemClock, log: silent, api, runtime: () => live.runtime, onConfig: config => { live.config = config }, random: soon })
  return { live, fleet }
}
