import { z } from 'zod'
import type { Camera, Driver } from '../contract.js'
import type { Reading } from '../../base/frames.js'
import { Feed } from '../sensors/feed.js'

export const presenceSettings = z.strictObject({
  /** The name of the readings: `person arrived`, `person waiting`, `person left`. */
  source: z.string().min(1).default('person'),
  /** Between two looks for a face, ms. */
  everyMs: z.number().int().min(50).max(10_000).default(250),
  /** Faces lower than this part of the picture's height are people who pass by. */
  minFace: z.number().min(0.05).max(1).default(0.15),
  /** A face must be seen for so long: the cascade sees one in a curtain now and then, but not twice. */
  arriveMs: z.number().int().min(0).max(10_000).default(400),
  /** No face for so long: who looks at their phone has not left. */
  leaveMs: z.number().int().min(100).max(60_000).default(2_500),
  /** Who has been there for so long is waiting; told once a visit. */
  waitMs: z.number().int().min(1_000).max(600_000).default(20_000),
})
export type PresenceSettings = z.infer<typeof presenceSettings>

/** A camera that also tells who comes and goes. */
export interface PresenceCamera extends Camera {
  /** `arrived`, `waiting` and `left`. One consumer. */
  readings(): AsyncIterable<Reading>
}

export const tellsPresence = (driver: Driver): driver is PresenceCamera => driver.kind === 'camera' && 'readings' in driver

/** A camera that can be told to do nothing for a while, for the sake of the voice. */
export interface RestingCamera extends Camera {
  /** `true`: its process ends, and nobody comes or goes; `false`: it starts anew. */
  rest(resting: boolean): void
}

export const canRest = (driver: Driver): driver is RestingCamera => driver.kind === 'camera' && 'rest' in driver

/** From faces a look to a person's coming and going, with hysteresis in time. */
export class Presence {
  readonly #settings: PresenceSettings
  readonly #feed = new Feed<Reading>(16)
  readonly #counters = { looks: 0, arrived: 0, waiting: 0, left: 0, stayedSeconds: 0 }
  #firstAt: number | undefined
  #lastAt = -Infinity
  #hits = 0
  #present = false
  #arrivedAt = 0
  #waits = false
  #stayedMs = 0
  #lookAt: number | undefined

  constructor(settings: PresenceSettings) {
    this.#settings = settings
  }

  readings(): AsyncIterable<Reading> {
    return this.#feed
  }

  /** `stayedSeconds`: how long someone was there, over all visits. */
  counters(): Record<string, number> {
    return { ...this.#counters, stayedSeconds: Math.floor(this.#stayedMs / 1_000) }
  }

  /** A look that found so many faces in a frame of this time, monotonic ms. */
  see(faces: number, at: number): void {
    this.#counters.looks++
    this.pass(at)
    if (faces === 0) return
    this.#firstAt ??= at
    this.#lastAt = at
    this.#hits++
    if (!this.#present && this.#hits >= 2 && at - this.#firstAt >= this.#settings.arriveMs) this.#turn(true, at)
  }

  /** Time passes without a look, too: a camera that is away sees nobody. */
  pass(at: number): void {
    if (this.#present) this.#stayedMs += Math.max(0, at - (this.#lookAt ?? at))
    this.#lookAt = Math.max(at, this.#lookAt ?? at)
    const unseenMs = at - this.#lastAt
    if (this.#present && unseenMs >= this.#settings.leaveMs) {
      this.#turn(false, at)
    } else if (this.#present && !this.#waits && at - this.#arrivedAt >= this.#settings.waitMs) {
      this.#waits = true
      this.#tell('waiting', at)
    } else if (!this.#present && unseenMs > 2 * this.#settings.everyMs + 100) {
      this.#forget() // one look may miss a face that is there; two looks may not
    }
  }

  end(): void {
    this.#feed.end()
  }

  #turn(present: boolean, at: number): void {
    this.#present = present
    ;[this.#arrivedAt, this.#waits] = [at, false]
    if (!present) this.#forget()
    this.#tell(present ? 'arrived' : 'left', at)
  }

  #tell(value: 'arrived' | 'waiting' | 'left', at: number): void {
    this.#counters[value]++
    this.#feed.push({ source: this.#settings.source, at, value })
  }

  #forget(): void {
    this.#firstAt = undefined
    this.#hits = 0
  }
}
