import { z } from 'zod'
import type { Host } from '../contract.js'
import type { Reading } from '../../base/frames.js'
import { findBinding, type ReadyBinding } from './opencv-binding.js'
import { OpencvSource } from './opencv-source.js'
import { Presence, presenceSettings, type PresenceCamera } from './presence.js'
import { cameraSettings, notAnOption } from './settings.js'
import { SupervisedCamera } from './supervised-camera.js'

export const schema = z.strictObject({
  driver: z.literal('opencv'),
  ...cameraSettings,
  /** A V4L2 index or device, a GStreamer pipeline (has a `!`, ends in appsink), an address, a video, a sequence (`%03d`), a still. */
  source: z.union([z.number().int().min(0), notAnOption]).default(0),
  /** Files only: begins again at the end. */
  loop: z.boolean().default(false),
  /** Looks for faces and tells who comes and goes; without the section it does not look. */
  presence: presenceSettings.optional(),
})
export type Config = z.infer<typeof schema>

export class OpencvCamera extends SupervisedCamera implements PresenceCamera {
  readonly #presence: Presence

  constructor(config: Config, ready: ReadyBinding, host: Host) {
    const settings = config.presence
    const presence = new Presence(settings ?? presenceSettings.parse({}))
    const { source, loop, width, height, fps } = config
    const order = { type: 'open' as const, binding: ready.binding, source, loop, width, height, fps }
    const faces = settings && { cascade: ready.cascade, everyMs: settings.everyMs, minFace: settings.minFace }
    const frames = new OpencvSource(faces ? { ...order, faces } : order, host.clock, (count, at) => presence.see(count, at))
    super(config, { run: (sink, signal) => frames.run(sink, signal), counters: () => ({ ...frames.counters(), ...(settings ? presence.counters() : {}) }) }, host)
    this.#presence = presence
  }

  readings(): AsyncIterable<Reading> {
    return this.#presence.readings()
  }

  protected override onLook(at: number): void {
    this.#presence.pass(at)
  }

  protected override onEnd(): void {
    this.#presence.end()
  }
}

/** Throws `no-opencv`, naming `npm run setup:camera`, when the binding was not built. A source that is away is waited for. */
export async function open(config: Config, host: Host): Promise<OpencvCamera> {
  return new OpencvCamera(config, findBinding(), host).start()
}
