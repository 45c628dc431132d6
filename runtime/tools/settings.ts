import { z } from 'zod'

/** What the shipped model can call (issue pico); another bundle's tools are named in the configuration. */
export const KNOWN_TOOLS = ['goto', 'move', 'come', 'turn', 'look', 'stop', 'volume', 'call_staff', 'show', 'order', 'cancel']

/** `[tools]`: what the model may do. */
export const toolSettings = z.strictObject({
  /** Names that are carried out; any other call is refused with an error event. */
  allow: z.array(z.string().regex(/^[a-z][a-z0-9_]*$/, 'a tool name: lower-case letters, digits, _')).default(KNOWN_TOOLS),
  /** Sensors (a button) whose reading, unless it is `false`, 0 or `released`, stops the actuators at once, whether the model lives or not. */
  stopSources: z.array(z.string().min(1)).default(['stop']),
  /** A call that takes longer has failed, ms. The actuator has its own, shorter limits. */
  limitMs: z.number().int().min(100).max(600_000).default(15_000),
})
export type ToolSettings = z.infer<typeof toolSettings>
