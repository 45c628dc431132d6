import { z } from 'zod'

/** `[mqtt]`: the broker that actuators publish to. */
export const mqttSettings = z.strictObject({
  url: z.string().regex(/^(mqtts?|wss?):\/\/[^\s]+$/, 'an address such as mqtts://broker.local:8883'),
  username: z.string().min(1).optional(),
  /** It stood here once. A configuration is copied, shown and sent to the vendor, and a password in it too. */
  password: z.never({ error: 'no password here: write it to a file of mode 0600 and name that in passwordFile' }).optional(),
  /** Mode 0600, or in the folder of systemd's credentials. */
  passwordFile: z.string().min(1).optional(),
  clientId: z.string().regex(/^[A-Za-z0-9_-]{1,60}$/, 'letters, digits, - and _').optional(),
})
export type MqttSettings = z.infer<typeof mqttSettings>
