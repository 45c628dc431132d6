import { z } from 'zod'
import type { Host } from '../contract.js'
import type { Reading } from '../../base/frames.js'
import { ParleyError } from '../../base/errors.js'
import { Presence, presenceSettings, type PresenceCamera } from './presence.js'
import { cameraSettings } from './settings.js'
import { SupervisedCamera, type FrameSource, type Sink } from './supervised-camera.js'

export const schema = z.strictObject({
  driver: z.literal('fake'),
  ...cameraSettings,
  presence: presenceSettings.prefault({}),
  /** When it sees a person, from-to in ms after the start. */
  people: z.array(z.tuple([z.number().min(0), z.number().min(0)])).default([]),
  /** After so many frames it ends; 0 = never. */
  frames: z.number().int().min(0).default(0),
  /** Once after so many frames it gives nothing more, or fails. */
  stallsAfter: z.number().int().min(1).optional(),
  failsAfter: z.number().int().min(1).optional(),
})
export type Config = z.infer<typeof schema>

/** Frames of one colour that changes with every frame. Stalls and fails once, as its script says. */
class FakeSource implements FrameSource {
  readonly #config: Config
  readonly #host: Host
  readonly #presence: Presence
  readonly #startAt: number
  #count = 0

  constructor(config: Config, host: Host, presence: Presence) {
    this.#config = config
    this.#host = host
    this.#presence = presence
    this.#startAt = host.clock.now()
  }

  async run(sink: Sink, signal: AbortSignal): Promise<void> {
    const { width, height, fps, frames, stallsAfter, failsAfter, people } = this.#config
    const { clock } = this.#host
    while (frames === 0 || this.#count < frames) {
      await clock.sleep(1_000 / fps, signal)
      const at = clock.now()
      const ms = at - this.#startAt
      this.#count++
      sink.frame({ at, width, height, rgb: new Uint8Array(width * height * 3).fill(this.#count % 256) })
      this.#presence.see(people.some(([from, to]) => from <= ms && ms < to) ? 1 : 0, at)
      if (this.#count === failsAfter) throw new ParleyError('camera-lost', 'lost, as the script says')
      if (this.#count === stallsAfter) await clock.sleep(3_600_000, signal)
    }
  }

  counters(): Record<string, number> {
    return this.#presence.counters()
  }
}

export class FakeCamera extends SupervisedCamera implements PresenceCamera {
  readonly #presence: Presence

  constructor(config: Config, host: Host) {
    const presence = new Presence(config.presence)
    super(config, new FakeSource(config, host, presence), host)
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

export async function open(config: Config, host: Host): Promise<FakeCamera> {
  return new FakeCamera(config, host).start()
}
