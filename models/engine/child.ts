import { Socket } from 'node:net'
import { ParleyError, describe } from '../../base/errors.js'
import { ortBackend } from '../ladder/onnxruntime.js'
import { TickHost } from './tick-host.js'
import { FrameSplitter, encodeFrame, type Message } from './wire.js'

/** The pipe to the parent: both ways, made by the parent's spawn. */
const PIPE = 3

type Job = Extract<Message, { type: 'step' | 'facts' | 'reset' | 'tell' }>

/**
 * The model's process. Jobs run one after another, in the order in which they came; between two runs of the graph the event
 * loop turns, so a cancel, a ping or the parent's death is noticed after one step at the latest.
 */
class Child {
  readonly #pipe = new Socket({ fd: PIPE, readable: true, writable: true })
  readonly #splitter = new FrameSplitter()
  #jobs: Job[] = []
  #host: TickHost | undefined
  #busy = false

  start(): void {
    // the parent ends us, by closing the pipe; signals to the whole group (Ctrl-C, systemd) are for the parent to act on
    process.on('SIGINT', () => {})
    process.on('SIGTERM', () => {})
    this.#pipe.on('data', chunk => { for (const message of this.#splitter.push(chunk)) this.#take(message) })
    this.#pipe.on('close', () => process.exit(0))
    this.#pipe.on('error', () => process.exit(0))
  }

  #say(message: Message): void {
    this.#pipe.write(encodeFrame(message))
  }

  #take(message: Message): void {
    switch (message.type) {
      case 'open':
        void this.#open(message.spec)
        break
      case 'step':
      case 'facts':
      case 'reset':
      case 'tell': // in its place among the others: what is told after a reset must not be forgotten by it
        this.#jobs.push(message)
        void this.#work()
        break
      case 'cancel':
        this.#cancel(message.id)
        break
      case 'ping':
        this.#say({ type: 'done', id: message.id })
        break
      default:
        throw new ParleyError('wire-bad', `the parent sent ${message.type}, which only a child says`)
    }
  }

  async #open(spec: Extract<Message, { type: 'open' }>['spec']): Promise<void> {
    try {
      const host = await TickHost.open(spec, ortBackend(spec.onnxruntime), { trying: provider => this.#say({ type: 'trying', provider }) })
      this.#host = host
      this.#say({ type: 'ready', provider: host.provider, precision: host.precision, refusals: host.refusals })
    } catch (error) {
      this.#fail(0, error)
    }
  }

  /** Only what has not begun can be taken back; a step is a few ms. */
  #cancel(id: number): void {
    const kept = this.#jobs.filter(job => job.type === 'tell' || job.id !== id)
    if (kept.length === this.#jobs.length) return
    this.#jobs = kept
    this.#say({ type: 'cancelled', id })
  }

  async #work(): Promise<void> {
    if (this.#busy) return
    this.#busy = true
    for (let job = this.#jobs.shift(); job; job = this.#jobs.shift()) {
      try {
        await this.#run(job)
      } catch (error) {
        if (job.type !== 'tell') this.#fail(job.id, error)
      }
    }
    this.#busy = false
  }

  async #run(job: Job): Promise<void> {
    const host = this.#host
    if (!host) throw new ParleyError('engine-closed', 'the model is not loaded yet')
    if (job.type === 'tell') return host.tell(job.line, job.kind)
    if (job.type === 'step') {
      const said = await host.step(job)
      this.#say({ type: 'said', id: job.id, finished: host.channel.finished, said })
      return
    }
    if (job.type === 'facts') {
      await host.setFacts(job.lines, job.passing, async () => {
        this.#say({ type: 'alive' }) // many facts take longer than the parent would wait for an answer
        await new Promise(resolve => setImmediate(resolve))
      })
    } else {
      host.reset()
    }
    this.#say({ type: 'done', id: job.id })
  }

  #fail(id: number, error: unknown): void {
    const known = error instanceof ParleyError ? error : undefined
    this.#say({ type: 'failed', id, code: known?.code ?? 'engine-failed', message: known ? known.message : describe(error), hint: known?.hint ?? '' })
  }
}

new Child().start()
