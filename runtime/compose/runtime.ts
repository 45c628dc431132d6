import { aborted } from '../../base/abort.js'
import { systemClock } from '../../base/clock.js'
import { deviceRoot } from '../../base/device-root.js'
import { ParleyError, describe } from '../../base/errors.js'
import type { Reading } from '../../base/frames.js'
import type { Logger } from '../../base/log.js'
import { LocalMachine, type Machine } from '../../deploy/jetson/machine.js'
import { readThermal } from '../../deploy/jetson/power.js'
import type { PublishingHost } from '../../drivers/actuators/mqtt.js'
import { canRest, tellsPresence } from '../../drivers/camera/presence.js'
import type { Actuator, Camera, Microphone, Sensor, Speaker } from '../../drivers/contract.js'
import { openDriver } from '../../drivers/table.js'
import { Conversation, type Model } from '../conversation/conversation.js'
import type { OnEvent } from '../conversation/events.js'
import { Knowledge } from '../conversation/knowledge.js'
import { LiveClock } from '../conversation/live.js'
import type { Config } from '../config/schema.js'
import { factLines, readingsOf } from '../config/site.js'
import { HealthMonitor, type HealthReport, type Progress } from '../health/health.js'
import { gated } from './echo.js'
import { HeatWatch } from './heat.js'
import { openMicrophone, openSpeaker } from './open-sound.js'

/** Everything must be closed in 2 s (issue); what has not closed by then is left behind. */
const CLOSE_LIMIT_MS = 1_500
/** So long after the model last gave anything they are still talking: 10 s of 80 ms. */
const TALKING_TICKS = 125

export interface RuntimeOptions {
  readonly config: Config
  readonly log: Logger
  readonly onEvent: OnEvent
  /** Given to replace what the configuration names; the runtime closes it all the same. */
  readonly microphone?: Microphone
  readonly speaker?: Speaker
  readonly actuator?: Actuator
  /** Whose heat and power mode are read; default: this one, or the recorded one below PARLEY_ROOT. */
  readonly machine?: Machine
  openModel(onRespawn: () => void): Promise<Model>
  /** What it knows instead when the model has no room for the configured facts. Without it such facts are an error. */
  readonly ownFacts?: { readonly facts: Config['facts']; onTaken(refused: unknown): void }
}

/** The composition root: opens what the configuration names, wires it, and closes it in the reverse order. */
export class Runtime implements AsyncDisposable {
  readonly #options: RuntimeOptions
  readonly #closing = new AbortController()
  readonly #opened: AsyncDisposable[] = []
  readonly #told = new Map<string, Omit<Reading, 'at'>>()
  #conversation: Conversation | undefined
  #health: HealthMonitor | undefined
  #camera: Camera | undefined
  /** What the chip's heat leaves to work with. */
  readonly heat: HeatWatch
  #actuator: Actuator | undefined
  #session: Model | undefined
  #knowledge: Knowledge | undefined
  #progress: readonly Progress[] = []
  #running: Promise<void> | undefined
  #closed: Promise<void> | undefined

  constructor(options: RuntimeOptions) {
    this.#options = options
    const machine = options.machine ?? new LocalMachine(deviceRoot())
    this.heat = new HeatWatch({
      clock: systemClock, log: options.log,
      read: () => readThermal(machine),
      stepMs: () => this.#conversation?.recentStepMs,
      rest: resting => { if (this.#camera && canRest(this.#camera)) this.#camera.rest(resting) },
    })
  }

  /** What proves that it lives, for a watchdog. */
  get progress(): readonly Progress[] {
    return this.#progress
  }

  /** The running model. Throws `not-open` before it is there. */
  get session(): Model {
    if (!this.#session) throw new ParleyError('not-open', 'the runtime is not open')
    return this.#session
  }

  /** Somebody speaks, is spoken to, or a call is running. */
  get busy(): boolean {
    return this.#conversation !== undefined && (this.#conversation.busy || this.#conversation.meter.speaking)
  }

  get conversation(): Conversation {
    if (!this.#conversation) throw new ParleyError('not-open', 'the runtime is not open')
    return this.#conversation
  }

  /** Resolves when it listens. Whatever was opened is closed again when something cannot be. */
  async open(): Promise<void> {
    try {
      await this.#open()
    } catch (error) {
      await this[Symbol.asyncDispose]()
      throw error
    }
  }

  async #open(): Promise<void> {
    const { config, log } = this.#options
    const plain = { clock: systemClock, log, signal: this.#closing.signal }
    // Its library is read only where it is used: a quarter of a start's time.
    const mqtt = config.mqtt ? this.#keep(await (await import('../mqtt/publisher.js')).MqttPublisher.open(config.mqtt, log)) : undefined
    const host: PublishingHost = mqtt ? { ...plain, publish: mqtt.publish } : plain
    // All at the same time: the slowest alone decides how long the start takes. Each is closed also when another one fails.
    const [session, microphone, actuator] = await this.#all(
      this.#options.openModel(() => this.#retell()),
      this.#options.microphone ?? openMicrophone(config.microphone, host),
      this.#options.actuator ?? openDriver('actuator', config.actuator.driver, config.actuator, host),
    )
    const speaker = this.#keep(this.#options.speaker ?? (await openSpeaker(config.speaker, session.outputRate, host)))
    this.#actuator = actuator
    this.#session = session
    const knowledge = this.#knowledge = new Knowledge({ session, clock: systemClock, signal: this.#closing.signal, busy: () => this.busy, onTrouble: (code, message) => this.#conversation?.report(code, message) })
    await this.#learn(knowledge, config)
    const conversation = new Conversation({ session, speaker, actuator, knowledge, clock: systemClock, settings: config, onEvent: this.#options.onEvent })
    this.#conversation = conversation
    for (const reading of readingsOf(config.readings)) this.#tell(reading)
    const clock = new LiveClock({ conversation, session, frames: gated(microphone.frames(), speaker, config.echo.mode), clock: systemClock, settings: config.conversation, spare: () => this.heat.budget.doze })
    this.#running = clock.run(this.#closing.signal)
    const { sensors, camera } = await this.#openSenses(host)
    this.#camera = camera
    const { captureMs, modelMs, playoutMs } = config.health
    this.#progress = [
      { name: 'capture', limitMs: captureMs, lastProgressAt: () => clock.lastFrameAt },
      { name: 'model', limitMs: modelMs, lastProgressAt: () => conversation.lastStepAt },
      { name: 'playout', limitMs: playoutMs, lastProgressAt: () => conversation.playout.lastProgressAt },
    ]
    this.#health = new HealthMonitor(systemClock, this.#progress, [microphone, speaker, actuator, ...sensors, ...(camera ? [camera] : []), this.heat])
    void this.heat.watch(this.#closing.signal)
    void this.#health.watch(config.health, report => this.#onHealth(report), this.#closing.signal)
  }

  /** Facts that were wished from afar and fitted an older bundle must not keep the device from starting. */
  async #learn(knowledge: Knowledge, config: Config): Promise<void> {
    const { ownFacts, log } = this.#options
    try {
      await knowledge.learn(factLines(config.facts))
    } catch (error) {
      if (!ownFacts || !(error instanceof ParleyError) || error.code !== 'facts-too-long') throw error
      log.error({ reason: describe(error) }, 'the facts wished from afar do not fit this model; those of the device\'s own file are taken')
      await knowledge.learn(factLines(ownFacts.facts))
      ownFacts.onTaken(error)
    }
  }

  /** A sensor or a camera that cannot be opened is missed, and the conversation held all the same. */
  async #openSenses(host: PublishingHost): Promise<{ sensors: Sensor[]; camera: Camera | undefined }> {
    const { config } = this.#options
    const sensors: Sensor[] = []
    for (const [name, section] of Object.entries(config.sensors)) {
      const sensor = await this.#missable(name, openDriver('sensor', section.driver, { name, ...section }, host))
      if (!sensor) continue
      sensors.push(sensor)
      void this.#follow(name, sensor.readings())
    }
    const camera = config.camera ? await this.#missable('camera', openDriver('camera', config.camera.driver, config.camera, host)) : undefined
    if (camera && tellsPresence(camera)) void this.#follow('camera', camera.readings())
    return { sensors, camera }
  }

  /** Resolves when the microphone has ended or the runtime is closed. */
  async done(): Promise<void> {
    await this.#running
  }

  health(): HealthReport {
    return this.#health?.look() ?? { ok: false, parts: [] }
  }

  /** Stops whatever moves, at once, whether the model lives or not. */
  stop(): void {
    this.#actuator?.stop()
  }

  /** `stop`, and silence. The model forgets the talk, and is told again what it knows. */
  hush(): void {
    this.stop()
    void this.#conversation?.hush().then(() => this.#retell())
  }

  /** Puts in force what a running process can change, among these keys. Rejects, e.g. with `facts-too-long`, if the model refuses. */
  async apply(config: Config, changed: readonly string[]): Promise<void> {
    const has = (key: string): boolean => changed.some(path => path === key || path.startsWith(`${key}.`))
    if (has('facts')) await this.#knowledge?.learn(factLines(config.facts))
    if (has('playout')) this.conversation.volume.set(config.playout.volume)
    if (has('log')) this.#options.log.level = config.log.level
    if (has('readings')) for (const reading of readingsOf(config.readings)) this.#tell(reading)
  }

  [Symbol.asyncDispose](): Promise<void> {
    return (this.#closed ??= this.#close())
  }

  async #close(): Promise<void> {
    this.#conversation?.close()
    this.#closing.abort(new ParleyError('closed', 'the runtime is closing'))
    const late = aborted(AbortSignal.timeout(CLOSE_LIMIT_MS))
    const closed = Promise.allSettled(this.#opened.reverse().map(async part => part[Symbol.asyncDispose]()))
    await Promise.race([closed.then(results => {
      for (const r of results) if (r.status === 'rejected') this.#options.log.warn({ reason: describe(r.reason) }, 'a part did not close well')
    }), late])
    await Promise.race([this.#running, late])
  }

  #keep<T extends AsyncDisposable>(part: T): T {
    if (this.#closed) void part[Symbol.asyncDispose]() // it was still being opened when all was closed
    else this.#opened.push(part)
    return part
  }

  async #all<A extends AsyncDisposable, B extends AsyncDisposable, C extends AsyncDisposable>(a: A | Promise<A>, b: B | Promise<B>, c: C | Promise<C>): Promise<[A, B, C]> {
    const keep = async <T extends AsyncDisposable>(part: T | Promise<T>): Promise<T> => this.#keep(await part)
    const all = [keep(a), keep(b), keep(c)] as const
    await Promise.allSettled(all)
    return Promise.all(all)
  }

  async #missable<T extends AsyncDisposable>(name: string, opening: Promise<T>): Promise<T | undefined> {
    try {
      return this.#keep(await opening)
    } catch (error) {
      this.#options.log.error({ driver: name, reason: describe(error) }, 'cannot be opened')
      this.#conversation?.report('driver-missing', `${name}: ${describe(error)}`)
      return undefined
    }
  }

  async #follow(name: string, readings: AsyncIterable<Reading>): Promise<void> {
    const sources = new Set<string>()
    try {
      for await (const reading of readings) {
        sources.add(reading.source)
        this.#tell(reading)
      }
    } catch (error) {
      if (!this.#closing.signal.aborted) this.#conversation?.report('sensor-lost', `${name}: ${describe(error)}`)
    }
    for (const source of sources) this.#knowledge?.forget(source)
  }

  #tell(reading: Omit<Reading, 'at'>): void {
    const { source, value, unit } = reading
    // Straight to the actuators, before anything else is done with it: the model may be dead.
    if (this.#options.config.tools.stopSources.includes(source) && asksToStop(value)) this.stop()
    // Who has just been answered is not waiting.
    if (value === 'waiting' && this.#conversation && this.#conversation.quietTicks < TALKING_TICKS) return
    if (this.#told.get(source)?.value === value) return
    this.#told.set(source, { source, value, ...(unit ? { unit } : {}) })
    this.#conversation?.tell(reading)
  }

  /** A model that was started anew knows the facts and what is measured, but no event. */
  #retell(): void {
    for (const reading of this.#told.values()) if (typeof reading.value !== 'number') this.#conversation?.tell(reading)
  }

  #onHealth(report: HealthReport): void {
    const unwell = report.parts.filter(p => !p.ok)
    this.#options.log[report.ok ? 'info' : 'warn']({ unwell: unwell.map(p => ({ name: p.name, detail: p.detail })) }, report.ok ? 'all is well again' : 'not well')
  }
}

/** A stop source rests at `false`, 0 or `released`. Whatever else it says is a stop, also what we do not understand. */
const asksToStop = (value: Reading['value']): boolean => value !== false && value !== 0 && value !== 'released'
