import { z } from 'zod'

/** `[mqtt]`: the broker that actuators publish to. */
export const mqttSettings = z.strictObject({
  url: z.string().regex(/^(mqtts?|wss?):\/\/[^\s]+$/, 'an address such as mqtts://broker.local:8883'),
  username: z.string().min(1).optional(),
  /** Better in a file that only the service can read. */
  password: z.string().min(1).optional(),
  passwordFile: z.string().min(1).optional(),
  clientId: z.string().regex(/^[A-Za-z0-9_-]{1,60}$/, 'letters, digits, - and _').optional(),
})
export type MqttSettings = z.infer<typeof mqttSettings>
