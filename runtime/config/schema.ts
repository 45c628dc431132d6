import { z } from 'zod'
import { updateSettings } from '../../deploy/update/policy.js'
import { conversationSettings } from '../conversation/settings.js'
import { healthSettings } from '../health/settings.js'
import { mqttSettings } from '../mqtt/settings.js'
import { playoutSettings } from '../playout/settings.js'
import { telemetrySettings } from '../telemetry/settings.js'
import { toolSettings } from '../tools/settings.js'
import { factsSettings, readingsSettings } from './site.js'

/** A driver's own keys are checked by the driver's own schema, when its type is known. */
const driver = z.looseObject({ driver: z.string().min(1) })

const bundleSettings = z.strictObject({
  /** The folder; a relative path is relative to the configuration file. Undefined: the bundle that is shipped. */
  path: z.string().min(1).optional(),
  /** Bundles that may be changed over to from afar (`bundle-use`), a folder each. */
  folder: z.string().min(1).default('/var/lib/parley/bundles'),
  /** A folder with an ONNX Runtime that was built on this device, with TensorRT or CUDA. Undefined: the one that is shipped, for the CPU. */
  onnxruntime: z.string().regex(/^\//, 'an absolute path of a folder').optional(),
  /** Rungs of the ladder to try, in order. */
  providers: z.array(z.enum(['tensorrt', 'cuda', 'cpu'])).min(1).default(['tensorrt', 'cuda', 'cpu']),
})

const echoSettings = z.strictObject({
  /** `gate` takes our own voice out of the microphone; `off` is for headsets. */
  mode: z.enum(['gate', 'off']).default('gate'),
})

const logSettings = z.strictObject({ level: z.enum(['fatal', 'error', 'warn', 'info', 'debug', 'trace', 'silent']).default('info') })

/** The whole file. Every section may be left out, and so may the file. */
export const configSchema = z.strictObject({
  bundle: bundleSettings.prefault({}),
  /** `auto`: the sound server where there is one, else the sound card. */
  microphone: driver.default({ driver: 'auto' }),
  speaker: driver.default({ driver: 'auto' }),
  camera: driver.optional(),
  /** `[sensors.battery]`: the name is the source of its readings. */
  sensors: z.record(z.string().regex(/^[a-z][a-z0-9 _-]*$/, 'a lower-case name'), driver).default({}),
  actuator: driver.default({ driver: 'log' }),
  echo: echoSettings.prefault({}),
  conversation: conversationSettings.prefault({}),
  playout: playoutSettings.prefault({}),
  tools: toolSettings.prefault({}),
  health: healthSettings.prefault({}),
  mqtt: mqttSettings.optional(),
  /** Without it nothing is sent, and nobody commands from afar. */
  telemetry: telemetrySettings.optional(),
  update: updateSettings.prefault({}),
  log: logSettings.prefault({}),
  facts: factsSettings,
  readings: readingsSettings,
})

export type Config = z.infer<typeof configSchema>

/** For editors. */
export function configJsonSchema(): object {
  return z.toJSONSchema(configSchema, { io: 'input', unrepresentable: 'any' })
}
