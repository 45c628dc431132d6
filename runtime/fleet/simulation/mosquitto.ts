import { spawn, type ChildProcess } from 'node:child_process'
import { writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { systemClock } from '../../../base/clock.js'
import { ParleyError } from '../../../base/errors.js'
import { kill } from '../../../base/kill.js'
import { answers, freePort } from '../../../base/ports.js'

/** It answers in some 30 ms; on a machine that is full of devices, much later, ms. */
const READY_MS = 20_000
const LOOK_MS = 20

/** A real Mosquitto on a port of this machine that stays the same over restarts. */
export class Mosquitto {
  readonly #folder: string
  #port = 0
  #child: ChildProcess | undefined

  constructor(folder: string) {
    this.#folder = folder
  }

  get url(): string {
    return `mqtt://127.0.0.1:${this.#port}`
  }

  get pid(): number | undefined {
    return this.#child?.pid
  }

  /** Resolves once it answers. Throws `no-mosquitto`, or `broker-dead` if it does not come up. */
  async start(signal: AbortSignal): Promise<void> {
    this.#port ||= await freePort()
    const conf = join(this.#folder, 'mosquitto.conf')
    await writeFile(conf, `user root\nlistener ${this.#port} 127.0.0.1\nallow_anonymous true\npersistence false\nmax_queued_messages 100000\nmax_inflight_messages 1000\n`)
    const child = spawn('mosquitto', ['-c', conf], { stdio: 'ignore', env: { ...process.env, PATH: `${process.env['PATH']}:/usr/sbin` } })
    this.#child = child
    let missing: unknown
    child.once('error', error => { missing = error })
    for (const end = performance.now() + READY_MS; performance.now() < end;) {
      if (missing) throw new ParleyError('no-mosquitto', 'the simulation needs a Mosquitto', { hint: 'apt-get install mosquitto', cause: missing })
      if (await answers(this.#port)) return
      await systemClock.sleep(LOOK_MS, signal)
    }
    throw new ParleyError('broker-dead', `mosquitto does not answer after ${READY_MS / 1_000} s`)
  }

  /** Dies at once, as in a power cut. */
  async kill(): Promise<void> {
    const child = this.#child
    this.#child = undefined
    await kill(child)
  }
}
