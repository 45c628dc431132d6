import { z } from 'zod'
import type { Host } from '../contract.js'
import { ParleyError } from '../../base/errors.js'
import { EventDevice } from './event-device.js'
import { PolledSensor, polled, type Probe } from './polled-sensor.js'
import { readSmall } from './small-file.js'

export const schema = z
  .strictObject({
    driver: z.literal('button'),
    // 20 ms: a finger is never faster, and it bounds the way from an emergency button to the actuators.
    ...polled({ name: 'button', intervalMs: 20, hysteresis: 0, minIntervalMs: 0 }),
    /** A file that holds 0 or 1: a GPIO's `value` in sysfs, or any other. */
    gpio: z.string().min(1).optional(),
    /** An input device, `/dev/input/by-path/…-event`. */
    evdev: z.string().min(1).optional(),
    /** Key code in the input device (linux/input-event-codes.h); without it any key. */
    code: z.number().int().min(0).max(0x2ff).optional(),
    /** The GPIO reads 0 while pressed (a pull-up and a button to ground). */
    activeLow: z.boolean().default(false),
  })
  .refine(c => (c.gpio === undefined) !== (c.evdev === undefined), { path: ['gpio'], message: 'expected either gpio or evdev, one of them' })
export type Config = z.infer<typeof schema>

/** Tells `pressed` and `released`. */
export function open(config: Config, host: Host): Promise<PolledSensor> {
  return new PolledSensor(config, config.evdev === undefined ? gpioProbe(config) : evdevProbe(config, config.evdev), host).start()
}

function gpioProbe(config: Config): Probe {
  const path = config.gpio ?? ''
  return {
    sample: async () => {
      const text = await readSmall(path)
      if (text !== '0' && text !== '1') throw new ParleyError('not-a-value', `${path} should hold 0 or 1, not ${JSON.stringify(text.slice(0, 40))}`)
      return (text === '1') !== config.activeLow ? 'pressed' : 'released'
    },
  }
}

function evdevProbe(config: Config, path: string): Probe {
  const device = new EventDevice(path)
  // A press and its release between two looks are both told, one a look: none is lost.
  const waiting: ('pressed' | 'released')[] = []
  return {
    sample: async () => {
      for (const { code, value } of device.keys()) {
        if (value !== 2 && (config.code === undefined || config.code === code)) waiting.push(value === 1 ? 'pressed' : 'released')
      }
      // More than this cannot be a finger; the newest count.
      if (waiting.length > 32) waiting.splice(0, waiting.length - 32)
      return waiting.shift()
    },
    close: async () => device.close(),
  }
}
