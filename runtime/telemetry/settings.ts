import { z } from 'zod'

/** A level of a topic, a file name and a common name of a certificate at once: so neither `/`, `+`, `#` nor spaces. */
export const nameSchema = z.string().regex(/^[A-Za-z0-9_-]{1,40}$/, '1 to 40 letters, digits, - and _')
const file = z.string().min(1)

/** Where and as whom to connect. With `cert` and `key` the broker takes the name from the certificate. */
export const brokerSettings = z.strictObject({
  url: z.string().regex(/^(mqtts?|wss?):\/\/[^\s]+$/, 'an address such as mqtts://broker.local:8883'),
  /** PEM files; read again at each connection, so that a renewed certificate needs no restart. */
  ca: file.optional(),
  cert: file.optional(),
  /** Mode 0600, or in the folder of systemd's credentials. */
  key: file.optional(),
  username: z.string().min(1).max(128).optional(),
  passwordFile: file.optional(),
})
export type BrokerSettings = z.infer<typeof brokerSettings>

const hour = z.string().regex(/^([01]\d|2[0-3]):[0-5]\d$/, 'a time such as 02:30')
/** Local time; over midnight where `from` is after `to`. Jobs that disturb wait for it. */
export const windowSettings = z.strictObject({ from: hour, to: hour })

const kB = 1_024

/** `[telemetry]`: what is sent where. Every key that takes part in an open connection needs a restart. */
export const telemetrySettings = z.strictObject({
  site: nameSchema,
  device: nameSchema,
  broker: brokerSettings,
  /** The queue, the desired state and the jobs. Must survive a restart. */
  folder: z.string().min(1).default('/var/lib/parley/telemetry'),
  /** How often the state is sent, s. */
  stateS: z.number().int().min(1).max(3_600).default(30),
  store: z.strictObject({
    /** Bytes on disk; 4 MiB hold 24 h of a turn every 10 s. */
    turnBytes: z.number().int().min(16 * kB).max(1_024 * kB * kB).default(4 * kB * kB),
    eventBytes: z.number().int().min(16 * kB).max(1_024 * kB * kB).default(kB * kB),
    /** What one fsync covers at most: a power cut loses what came in this time and was not answered, ms. So long an answer may take before a record is written. */
    syncMs: z.number().int().min(100).max(60_000).default(5_000),
  }).prefault({}),
  /** Old records sent a second, once the broker is back. Live ones are never held back. */
  backfillPerS: z.number().min(0.1).max(1_000).default(10),
  /** Text readings are words, so none is sent, except those of the sensors named here. */
  textReadings: z.array(z.string()).default([]),
  /** The topic that Home Assistant looks under, or `false`. */
  homeAssistant: z.union([z.string().min(1), z.literal(false)]).default('homeassistant'),
  /** `[telemetry.sparkplug]` switches Sparkplug B on, on a connection of its own. */
  sparkplug: z.strictObject({ group: nameSchema, everyS: z.number().int().min(1).max(3_600).default(30) }).optional(),
  /** Commands that are obeyed. Who may send them is the broker's to say (ACL). */
  commands: z.array(z.string()).default(['say', 'ask', 'stop', 'volume', 'mute', 'snapshot', 'restart', 'logs', 'bundle-use', 'config-get']),
  maintenance: windowSettings.optional(),
})
export type TelemetrySettings = z.infer<typeof telemetrySettings>
