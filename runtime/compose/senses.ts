import { describe } from '../../base/errors.js'
import type { Reading } from '../../base/frames.js'
import type { Logger } from '../../base/log.js'
import type { PublishingHost } from '../../drivers/actuators/mqtt.js'
import { tellsPresence } from '../../drivers/camera/presence.js'
import type { Camera, Sensor } from '../../drivers/contract.js'
import { openDriver } from '../../drivers/table.js'
import type { Conversation } from '../conversation/conversation.js'
import type { Config } from '../config/schema.js'

/** So long after the model last gave anything they are still talking: 10 s of 80 ms. */
const TALKING_TICKS = 125

type Trouble = 'driver-missing' | 'sensor-lost'

export interface SensesOptions {
  readonly config: Pick<Config, 'sensors' | 'camera' | 'tools'>
  readonly log: Logger
  /** Makes the part be closed with the runtime. */
  keep<T extends AsyncDisposable>(part: T): T
  /** Stops whatever moves. */
  stop(): void
  /** Nobody measures this source any more. */
  forget(source: string): void
}

/** What it perceives besides sound. They work before there is a model: what they tell is kept until a conversation can hear it. */
export class Senses {
  readonly sensors: Sensor[] = []
  camera: Camera | undefined
  readonly #options: SensesOptions
  readonly #told = new Map<string, Omit<Reading, 'at'>>()
  #conversation: Pick<Conversation, 'tell' | 'report' | 'quietTicks'> | undefined
  /** Troubles that nobody could hear of yet: at most two of each part. */
  readonly #troubles: [code: Trouble, message: string][] = []

  constructor(options: SensesOptions) {
    this.#options = options
  }

  /** A sensor that cannot be opened is missed, and the conversation held all the same. Never rejects. */
  async openSensors(host: PublishingHost): Promise<void> {
    const opened = Object.entries(this.#options.config.sensors).map(async ([name, section]) => {
      const sensor = await this.#missable(name, openDriver('sensor', section.driver, { name, ...section }, host))
      if (!sensor) return
      this.sensors.push(sensor)
      void this.#follow(name, sensor.readings(), host.signal)
    })
    await Promise.all(opened)
  }

  /** As `openSensors`. */
  async openCamera(host: PublishingHost): Promise<void> {
    const { camera } = this.#options.config
    this.camera = camera && (await this.#missable('camera', openDriver('camera', camera.driver, camera, host)))
    if (this.camera && tellsPresence(this.camera)) void this.#follow('camera', this.camera.readings(), host.signal)
  }

  /** From now on the conversation hears what is told, and at once what was told before. */
  attach(conversation: Pick<Conversation, 'tell' | 'report' | 'quietTicks'>): void {
    this.#conversation = conversation
    for (const reading of this.#told.values()) conversation.tell(reading)
    for (const [code, message] of this.#troubles.splice(0)) conversation.report(code, message)
  }

  tell(reading: Omit<Reading, 'at'>): void {
    const { source, value, unit } = reading
    // Straight to the actuators, before anything else is done with it: the model may be dead.
    if (this.#options.config.tools.stopSources.includes(source) && asksToStop(value)) this.#options.stop()
    // Who has just been answered is not waiting.
    if (value === 'waiting' && this.#conversation && this.#conversation.quietTicks < TALKING_TICKS) return
    if (this.#told.get(source)?.value === value) return
    this.#told.set(source, { source, value, ...(unit ? { unit } : {}) })
    this.#conversation?.tell(reading)
  }

  /** A model that was started anew knows the facts and what is measured, but no event. */
  retell(): void {
    for (const reading of this.#told.values()) if (typeof reading.value !== 'number') this.#conversation?.tell(reading)
  }

  async #missable<T extends AsyncDisposable>(name: string, opening: Promise<T>): Promise<T | undefined> {
    try {
      return this.#options.keep(await opening)
    } catch (error) {
      this.#options.log.error({ driver: name, reason: describe(error) }, 'cannot be opened')
      this.#report('driver-missing', `${name}: ${describe(error)}`)
      return undefined
    }
  }

  async #follow(name: string, readings: AsyncIterable<Reading>, closing: AbortSignal): Promise<void> {
    const sources = new Set<string>()
    try {
      for await (const reading of readings) {
        sources.add(reading.source)
        this.tell(reading)
      }
    } catch (error) {
      if (!closing.aborted) this.#report('sensor-lost', `${name}: ${describe(error)}`)
    }
    for (const source of sources) {
      if (!this.#conversation) this.#told.delete(source) // what is not measured any more must not be told as if it were
      this.#options.forget(source)
    }
  }

  #report(code: Trouble, message: string): void {
    if (this.#conversation) this.#conversation.report(code, message)
    else this.#troubles.push([code, message])
  }
}

/** A stop source rests at `false`, 0 or `released`. Whatever else it says is a stop, also what we do not understand. */
const asksToStop = (value: Reading['value']): boolean => value !== false && value !== 0 && value !== 'released'
