import type { ParleyError } from '../../base/errors.js'
import type { Said, Tick } from '../session.js'
import type { Message } from './wire.js'

export interface StepJob {
  readonly type: 'step'
  readonly tick: Tick
  readonly resolve: (said: Said) => void
  readonly reject: (error: unknown) => void
  /** Its caller was told already; only its credit is still out. */
  abandoned: boolean
}

export interface Facts { readonly lines: readonly string[]; readonly passing: readonly string[] }
type Call = ({ readonly type: 'facts' } & Facts) | { readonly type: 'reset' }
interface CallJob {
  readonly type: 'call'
  readonly call: Call
  readonly resolve: () => void
  readonly reject: (error: unknown) => void
  /** Of this child alone: the next one is given the facts anew. */
  readonly once?: boolean
}
interface PingJob { readonly type: 'ping' }
type Job = StepJob | CallJob | PingJob

/**
 * What was asked of the child and not yet answered. Steps beyond the credit window wait here. When the child is lost, the steps
 * that were with it are rejected; steps that waited, facts and resets stay, and go to the next child.
 */
export class EngineJobs {
  readonly #credit: number
  readonly #send: (message: Message) => void
  readonly #sent = new Map<number, Job>()
  #waiting: StepJob[] = []
  #calls: CallJob[] = []
  #connected = false
  #stepsOut = 0
  #nextId = 1

  constructor(credit: number, send: (message: Message) => void) {
    this.#credit = credit
    this.#send = send
  }

  /** Steps that wait for credit. */
  get waiting(): number {
    return this.#waiting.length
  }

  /** Answers that the child owes. */
  get owed(): number {
    return this.#sent.size
  }

  step(job: StepJob): void {
    this.#waiting.push(job)
    this.#pump()
  }

  call(call: Call): Promise<void> {
    return new Promise((resolve, reject) => {
      const job: CallJob = { type: 'call', call, resolve, reject }
      if (this.#connected) this.#sendCall(job)
      else this.#calls.push(job)
    })
  }

  /** Gives a new child the facts that the old one had. They were accepted before, so there is nobody to tell. */
  restore(facts: Facts): Promise<void> {
    return new Promise(resolve => this.#sendCall({ type: 'call', call: { type: 'facts', ...facts }, resolve, reject: () => resolve(), once: true }))
  }

  ping(): void {
    if (this.#connected) this.#send({ type: 'ping', id: this.#register({ type: 'ping' }) })
  }

  cancel(job: StepJob): void {
    job.abandoned = true
    const waiting = this.#waiting.indexOf(job)
    if (waiting >= 0) this.#waiting.splice(waiting, 1)
    for (const [id, sent] of this.#sent) if (sent === job) this.#send({ type: 'cancel', id })
  }

  said(id: number, said: Said): void {
    const job = this.#answered(id)
    if (job?.type === 'step' && !job.abandoned) job.resolve(said)
    this.#pump()
  }

  done(id: number): void {
    const job = this.#answered(id)
    if (job?.type === 'call') job.resolve()
  }

  cancelled(id: number): void {
    this.#answered(id)
    this.#pump()
  }

  failed(id: number, error: ParleyError): void {
    const job = this.#answered(id)
    if (job && job.type !== 'ping' && !(job.type === 'step' && job.abandoned)) job.reject(error)
    this.#pump()
  }

  /** A child is ready: what waited goes to it, facts and resets first. */
  connect(): void {
    this.#connected = true
    for (const job of this.#calls.splice(0)) this.#sendCall(job)
    this.#pump()
  }

  disconnect(error: ParleyError): void {
    this.#connected = false
    const sent = [...this.#sent.values()]
    this.#sent.clear()
    this.#stepsOut = 0
    for (const job of sent) {
      if (job.type === 'call' && !job.once) this.#calls.push(job)
      if (job.type === 'step' && !job.abandoned) job.reject(error)
    }
  }

  /** Everybody who waits is told, now and here. */
  end(error: ParleyError): void {
    this.disconnect(error)
    for (const job of [...this.#waiting.splice(0), ...this.#calls.splice(0)]) job.reject(error)
  }

  #sendCall(job: CallJob): void {
    const id = this.#register(job)
    this.#send(job.call.type === 'facts' ? { ...job.call, id } : { type: 'reset', id })
  }

  #pump(): void {
    while (this.#connected && this.#stepsOut < this.#credit) {
      const job = this.#waiting.shift()
      if (!job) return
      this.#stepsOut++
      this.#send({ type: 'step', id: this.#register(job), at: job.tick.at, audio: job.tick.audio })
    }
  }

  #register(job: Job): number {
    const id = this.#nextId
    this.#nextId = id >= 0xffffffff ? 1 : id + 1 // 0 is the child's start
    this.#sent.set(id, job)
    return id
  }

  #answered(id: number): Job | undefined {
    const job = this.#sent.get(id)
    this.#sent.delete(id)
    if (job?.type === 'step') this.#stepsOut--
    return job
  }
}
