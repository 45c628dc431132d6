import { join } from 'node:path'
import { childAbort, withTimeout } from '../../base/abort.js'
import type { Clock } from '../../base/clock.js'
import { ParleyError, describe } from '../../base/errors.js'
import type { Logger } from '../../base/log.js'
import type { Link, Message } from '../telemetry/link/link.js'
import type { Topics } from '../telemetry/topics.js'
import { TRACE_PROPERTY } from '../telemetry/trace.js'
import type { DeviceApi } from './device-api.js'
import { bodyOf, envelopeOf, type Envelope } from './request.js'
import { Seen } from './seen.js'
import { findCommand } from './table.js'

/** Requests that may wait; a person sends one, a script that sends more is told so. */
const MAX_WAITING = 16
/** An answer that nobody has fetched by then is of no use, s. */
const ANSWER_EXPIRY_S = 60

export interface CommandsOptions {
  readonly link: Pick<Link, 'publish' | 'subscribe'>
  readonly topics: Topics
  readonly api: DeviceApi
  readonly folder: string
  /** Names from COMMANDS that this device obeys. */
  readonly allowed: readonly string[]
  readonly clock: Clock
  readonly log: Logger
  /** Told of each command and how it ended: never of its arguments. */
  readonly onDone?: (done: { command: string; ok: boolean; code: string; ms: number; traceparent?: string }) => void
}

/**
 * INVARIANTS
 * - Every request that says where gets exactly one answer; what is refused changes nothing.
 * - Commands are carried out one at a time, in order, except `stop`, which waits for nothing.
 * - The same correlation data twice is carried out once; for a restart this holds over the restart.
 */
export class Commands {
  readonly #options: CommandsOptions
  readonly #seen: Seen
  readonly #closing = new AbortController()
  #chain: Promise<void> = Promise.resolve()
  #waiting = 0

  constructor(options: CommandsOptions) {
    this.#options = options
    this.#seen = new Seen(join(options.folder, 'commands-seen.json'))
  }

  /** Before the link starts. */
  async start(): Promise<void> {
    await this.#seen.open()
    this.#options.link.subscribe(`${this.#options.topics.command}/#`, 1, this.#hear)
  }

  async close(): Promise<void> {
    this.#closing.abort(new ParleyError('closed', 'the runtime is closing'))
    await this.#chain
  }

  #hear = (message: Message): void => {
    const { topics } = this.#options
    const envelope = envelopeOf(message, topics.command, topics.reply)
    if (envelope.name === 'stop') return void this.#handle(message, envelope)
    if (this.#waiting >= MAX_WAITING) return void this.#refuse(envelope, new ParleyError('busy', `${MAX_WAITING} commands wait already`, { hint: 'Send it again when they are answered.' }))
    this.#waiting++
    this.#chain = this.#chain.then(() => this.#handle(message, envelope)).finally(() => { this.#waiting-- })
  }

  async #handle(message: Message, envelope: Envelope): Promise<void> {
    const { clock } = this.#options
    const startedAt = clock.now()
    try {
      const again = envelope.id !== undefined && this.#seen.has(envelope.id)
      if (again) return this.#answerAgain(envelope)
      if (envelope.id !== undefined) this.#seen.add(envelope.id)
      const result = await this.#carryOut(message, envelope)
      await this.#answer(envelope, { ok: true, result: result ?? null })
      this.#done(envelope, true, 'ok', startedAt)
    } catch (error) {
      const refusal = error instanceof ParleyError ? error : new ParleyError('failed', 'the device could not do it', { cause: error })
      await this.#refuse(envelope, refusal)
      this.#done(envelope, false, refusal.code, startedAt)
    }
  }

  async #carryOut(message: Message, envelope: Envelope): Promise<unknown> {
    const { allowed, api, clock } = this.#options
    const command = findCommand(envelope.name)
    if (!command) throw new ParleyError('unknown-command', `there is no command ${JSON.stringify(envelope.name.slice(0, 40))}`)
    if (!allowed.includes(envelope.name)) throw new ParleyError('forbidden', `this device does not take the command ${envelope.name}`)
    const checked = command.args.safeParse(bodyOf(message, envelope))
    if (!checked.success) {
      const lines = checked.error.issues.slice(0, 5).map(i => `${i.path.join('.') || 'the request'}: ${i.message}`)
      throw new ParleyError('invalid', lines.join('; '))
    }
    // The broker forgets what expires there; this is for what waited here behind another command.
    if (clock.now() >= envelope.expiresAt) throw new ParleyError('expired', 'the command came too late', { hint: 'Send it again, with a longer message expiry.' })
    if (command.once && envelope.id !== undefined) await this.#seen.addForGood(envelope.id)
    const limit = childAbort(this.#closing.signal)
    try {
      return await withTimeout(command.run(api, checked.data, limit.signal), command.limitMs, envelope.name)
    } finally {
      limit.abort(new ParleyError('over', 'the command is over'))
    }
  }

  async #answerAgain(envelope: Envelope): Promise<void> {
    const before = this.#seen.answer(envelope.id!)
    const text = before ?? JSON.stringify({ ok: true, result: null, note: 'carried out before' })
    await this.#send(envelope, text)
  }

  async #refuse(envelope: Envelope, error: ParleyError): Promise<void> {
    const answer = { ok: false, error: { code: error.code, message: error.code === 'failed' ? describe(error) : error.message, ...(error.hint ? { hint: error.hint } : {}) } }
    if (envelope.id !== undefined) await this.#seen.failed(envelope.id, JSON.stringify(answer))
    await this.#answer(envelope, answer)
  }

  async #answer(envelope: Envelope, answer: object): Promise<void> {
    const text = JSON.stringify(answer)
    if (envelope.id !== undefined) this.#seen.answered(envelope.id, text)
    await this.#send(envelope, text)
  }

  async #send(envelope: Envelope, text: string): Promise<void> {
    if (envelope.replyTo === undefined) return
    const { correlationData, traceparent } = envelope
    await this.#options.link.publish(envelope.replyTo, text, {
      qos: 1, expiryS: ANSWER_EXPIRY_S, ...(correlationData ? { correlationData } : {}), ...(traceparent ? { userProperties: { [TRACE_PROPERTY]: traceparent } } : {}),
    }).catch(() => {}) // nobody to answer to; the request is done all the same
  }

  #done(envelope: Envelope, ok: boolean, code: string, startedAt: number): void {
    const { clock, log, onDone } = this.#options
    const command = findCommand(envelope.name) ? envelope.name : 'unknown'
    const done = { command, ok, code, ms: Math.round(clock.now() - startedAt), ...(envelope.traceparent ? { traceparent: envelope.traceparent } : {}) }
    if (ok) log.info(done, 'command done')
    else log.warn({ ...done, command: envelope.name.slice(0, 40) }, 'command refused or failed')
    onDone?.(done)
  }
}
