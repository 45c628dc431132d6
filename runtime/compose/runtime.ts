import { aborted } from '../../base/abort.js'
import { systemClock } from '../../base/clock.js'
import { deviceRoot } from '../../base/device-root.js'
import { ParleyError, describe } from '../../base/errors.js'
import type { Logger } from '../../base/log.js'
import { LocalMachine, type Machine } from '../../deploy/jetson/machine.js'
import { readThermal } from '../../deploy/jetson/power.js'
import type { PublishingHost } from '../../drivers/actuators/mqtt.js'
import { canRest } from '../../drivers/camera/presence.js'
import type { Actuator, Microphone, Speaker } from '../../drivers/contract.js'
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
import { Senses } from './senses.js'

/** Everything must be closed in 2 s (issue); what has not closed by then is left behind. */
const CLOSE_LIMIT_MS = 1_500

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
  /** `signal`: the runtime is closing, nobody needs it any more. */
  openModel(onRespawn: () => void, signal: AbortSignal): Promise<Model>
  /** What it knows instead when the model has no room for the configured facts. Without it such facts are an error. */
  readonly ownFacts?: { readonly facts: Config['facts']; onTaken(refused: unknown): void }
}

/** The composition root: opens what the configuration names, wires it, and closes it in the reverse order. */
export class Runtime implements AsyncDisposable {
  readonly #options: RuntimeOptions
  readonly #closing = new AbortController()
  readonly #opened: AsyncDisposable[] = []
  readonly #senses: Senses
  #conversation: Conversation | undefined
  #health: HealthMonitor | undefined
  /** What the chip's heat leaves to work with. */
  readonly heat: HeatWatch
  #actuator: Actuator | undefined
  /** It was asked to stop before there was an actuator. */
  #stopDue = false
  #session: Model | undefined
  #knowledge: Knowledge | undefined
  #progress: readonly Progress[] = []
  #running: Promise<void> | undefined
  #closed: Promise<void> | undefined

  constructor(options: RuntimeOptions) {
    this.#options = options
    this.#senses = new Senses({ config: options.config, log: options.log, keep: part => this.#keep(part), stop: () => this.stop(), forget: source => this.#knowledge?.forget(source) })
    const machine = options.machine ?? new LocalMachine(deviceRoot())
    this.heat = new HeatWatch({
      clock: systemClock, log: options.log,
      read: () => readThermal(machine),
      stepMs: () => this.#conversation?.recentStepMs,
      rest: resting => {
        const { camera } = this.#senses
        if (camera && canRest(camera)) camera.rest(resting)
      },
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
    for (const reading of readingsOf(config.readings)) this.#senses.tell(reading) // before those that are measured
    const sensing = this.#senses.openSensors(host)
    // All at the same time: the slowest alone decides how long the start takes. Each is closed also when another one fails.
    // An actuator and a button work before the model has loaded, which takes minutes where an engine is built.
    const [session, microphone, actuator] = await this.#all(
      this.#options.openModel(() => this.#senses.retell(), this.#closing.signal),
      this.#options.microphone ?? openMicrophone(config.microphone, host),
      this.#openActuator(host),
    )
    const speaker = this.#keep(this.#options.speaker ?? (await openSpeaker(config.speaker, session.outputRate, host)))
    this.#session = session
    const knowledge = this.#knowledge = new Knowledge({ session, clock: systemClock, signal: this.#closing.signal, busy: () => this.busy, onTrouble: (code, message) => this.#conversation?.report(code, message) })
    await this.#learn(knowledge, config)
    const conversation = new Conversation({ session, speaker, actuator, knowledge, clock: systemClock, settings: config, onEvent: this.#options.onEvent })
    this.#conversation = conversation
    this.#senses.attach(conversation)
    const clock = new LiveClock({ conversation, session, frames: gated(microphone.frames(), speaker, config.echo.mode), clock: systemClock, settings: config.conversation, spare: () => this.heat.budget.doze })
    this.#running = clock.run(this.#closing.signal)
    await Promise.all([sensing, this.#senses.openCamera(host)])
    const { sensors, camera } = this.#senses
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

  async #openActuator(host: PublishingHost): Promise<Actuator> {
    const { driver } = this.#options.config.actuator
    const actuator = this.#actuator = this.#options.actuator ?? (await openDriver('actuator', driver, this.#options.config.actuator, host))
    if (this.#stopDue) actuator.stop()
    return actuator
  }

  /** Resolves when the microphone has ended or the runtime is closed. */
  async done(): Promise<void> {
    await this.#running
  }

  health(): HealthReport {
    return this.#health?.look() ?? { ok: false, parts: [] }
  }

  /** Stops whatever moves, at once, whether the model lives or not, or as soon as there is an actuator. */
  stop(): void {
    if (this.#actuator) this.#actuator.stop()
    else this.#stopDue = true
  }

  /** `stop`, and silence. The model forgets the talk, and is told again what it knows. */
  hush(): void {
    this.stop()
    void this.#conversation?.hush().then(() => this.#senses.retell())
  }

  /** Puts in force what a running process can change, among these keys. Rejects, e.g. with `facts-too-long`, if the model refuses. */
  async apply(config: Config, changed: readonly string[]): Promise<void> {
    const has = (key: string): boolean => changed.some(path => path === key || path.startsWith(`${key}.`))
    if (has('facts')) await this.#knowledge?.learn(factLines(config.facts))
    if (has('playout')) this.conversation.volume.set(config.playout.volume)
    if (has('log')) this.#options.log.level = config.log.level
    if (has('readings')) for (const reading of readingsOf(config.readings)) this.#senses.tell(reading)
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

  async #all<A extends AsyncDisposable, B extends AsyncDisposable, C extends AsyncDisposable>(a: A | Promise<A>, b: B | Promise<B>, c: Promise<C>): Promise<[A, B, C]> {
    const keep = async <T extends AsyncDisposable>(part: T | Promise<T>): Promise<T> => this.#keep(await part)
    const all = [keep(a), keep(b), keep(c)] as const
    await Promise.allSettled(all)
    return Promise.all(all)
  }

  #onHealth(report: HealthReport): void {
    const unwell = report.parts.filter(p => !p.ok)
    this.#options.log[report.ok ? 'info' : 'warn']({ unwell: unwell.map(p => ({ name: p.name, detail: p.detail })) }, report.ok ? 'all is well again' : 'not well')
  }
}
