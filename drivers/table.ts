import type { z } from 'zod'
import type { PublishingHost } from './actuators/mqtt.js'
import type { Actuator, Camera, Driver, Microphone, Sensor, Speaker } from './contract.js'
import { ParleyError } from '../base/errors.js'

/** What a driver's module exports: the schema owns the configuration, `open` does the work. */
export interface DriverModule<D extends Driver> {
  readonly schema: z.ZodType
  /** `never`: each module takes what its own schema gives, and only `openDriver` calls it. */
  open(config: never, host: PublishingHost): Promise<D>
}

type Rows<D extends Driver> = Readonly<Record<string, () => Promise<DriverModule<D>>>>

const microphone: Rows<Microphone> = {
  alsa: () => import('./microphone/alsa.js'),
  pulse: () => import('./microphone/pulse.js'),
  wav: () => import('./microphone/wav.js'),
  fake: () => import('./microphone/fake.js'),
}

const speaker: Rows<Speaker> = {
  speaker: () => import('./speaker/speaker.js'),
  pipe: () => import('./speaker/pipe.js'),
  wav: () => import('./speaker/wav.js'),
  null: () => import('./speaker/null.js'),
  fake: () => import('./speaker/fake.js'),
}

const camera: Rows<Camera> = {
  ffmpeg: () => import('./camera/ffmpeg.js'),
  opencv: () => import('./camera/opencv.js'),
  file: () => import('./camera/file.js'),
  fake: () => import('./camera/fake.js'),
}

const sensor: Rows<Sensor> = {
  battery: () => import('./sensors/battery.js'),
  thermal: () => import('./sensors/thermal.js'),
  button: () => import('./sensors/button.js'),
  file: () => import('./sensors/file.js'),
  command: () => import('./sensors/command.js'),
  fake: () => import('./sensors/fake.js'),
}

const actuator: Rows<Actuator> = {
  log: () => import('./actuators/log.js'),
  mqtt: () => import('./actuators/mqtt.js'),
  command: () => import('./actuators/command.js'),
  fake: () => import('./actuators/fake.js'),
}

/** Every driver there is. A row is loaded when it is opened, so that nobody needs the libraries of drivers they do not use. */
export const drivers = { microphone, speaker, camera, sensor, actuator }

export type Kind = keyof typeof drivers
type DriverOf = { microphone: Microphone; speaker: Speaker; camera: Camera; sensor: Sensor; actuator: Actuator }

/** Loads one row. Throws `unknown-driver` with the list of those known. */
export async function loadDriver<K extends Kind>(kind: K, type: string): Promise<DriverModule<DriverOf[K]>> {
  const rows = drivers[kind] as Rows<DriverOf[K]> // the compiler does not follow K through the object
  const load = Object.hasOwn(rows, type) ? rows[type] : undefined
  if (load) return load()
  throw new ParleyError('unknown-driver', `there is no ${kind} driver ${JSON.stringify(type)}`, { hint: `Known: ${Object.keys(rows).join(', ')}` })
}

/**
 * Checks a section of the configuration (its `driver` key may be left out) and opens what it names.
 * Throws `unknown-driver`, `bad-config` with one line for each wrong key, or what the driver's own `open` throws.
 */
export async function openDriver<K extends Kind>(kind: K, type: string, config: Readonly<Record<string, unknown>>, host: PublishingHost): Promise<DriverOf[K]> {
  const module = await loadDriver(kind, type)
  const checked = module.schema.safeParse({ driver: type, ...config })
  if (checked.success) return module.open(checked.data as never, host)
  const lines = checked.error.issues.flatMap(issue => complain(issue, config))
  throw new ParleyError('bad-config', `the configuration of ${kind} "${type}" is wrong: ${lines.join('; ')}`, { cause: checked.error })
}

/** `fps = 900: Too big: expected number to be <=60` */
function complain(issue: z.core.$ZodIssue, config: Readonly<Record<string, unknown>>): string[] {
  const key = issue.path.join('.')
  if (issue.code === 'unrecognized_keys') return issue.keys.map(k => `${[...issue.path, k].join('.')} is not a key of this driver`)
  const value = issue.path.reduce<unknown>((at, part) => (typeof at === 'object' && at !== null ? Reflect.get(at, part) : undefined), config)
  return [value === undefined ? `${key} is missing: ${issue.message}` : `${key} = ${JSON.stringify(value)}: ${issue.message}`]
}
