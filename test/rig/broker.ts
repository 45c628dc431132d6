import { spawn, type ChildProcess } from 'node:child_process'
import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { ParleyError, isMissing } from '../../base/errors.js'
import { kill } from '../../base/kill.js'
import { answers, freePort } from '../../base/ports.js'

/** Mosquitto answers in ~30 ms; on a machine that is busy with something else, far later. */
const READY_LIMIT_MS = 20_000

export interface BrokerOptions {
  /** All of mosquitto.conf, for this port and with this folder for its data. Without it everybody may do everything. */
  readonly config?: (port: number, folder: string) => readonly string[]
  /** That configuration's listener speaks TLS. */
  readonly secure?: boolean
  /** More lines of mosquitto.conf. */
  readonly extra?: readonly string[]
}

/** A real Mosquitto with a configuration of its own, on a port of 127.0.0.1 that stays the same over restarts. */
export class Broker implements AsyncDisposable {
  readonly port: number
  readonly folder: string
  readonly #secure: boolean
  #child: ChildProcess | undefined
  /** What it printed, for a test that fails. */
  output = ''

  private constructor(port: number, folder: string, secure: boolean) {
    this.port = port
    this.folder = folder
    this.#secure = secure
  }

  static async start(options: BrokerOptions = {}): Promise<Broker> {
    const folder = await mkdtemp(join(tmpdir(), 'parley-broker-'))
    const broker = new Broker(await freePort(), folder, options.secure ?? false)
    const open = [
      'user root', // as root it would change to `mosquitto`, who may not read the test's files; others ignore the line
      `listener ${broker.port} 127.0.0.1`,
      'persistence false',
      'allow_anonymous true',
    ]
    await writeFile(join(folder, 'mosquitto.conf'), [...(options.config?.(broker.port, folder) ?? open), ...(options.extra ?? []), ''].join('\n'))
    await broker.restart()
    return broker
  }

  /** As it would stand in `url`; with TLS the certificate must be for `localhost`. */
  get url(): string {
    return this.#secure ? `mqtts://localhost:${this.port}` : `mqtt://127.0.0.1:${this.port}`
  }

  get pid(): number | undefined {
    return this.#child?.pid
  }

  /** Dies at once, as in a power cut. Retained messages are lost with it. */
  async kill(): Promise<void> {
    const child = this.#child
    this.#child = undefined
    await kill(child)
  }

  /** Starts (again); resolves once it answers. */
  async restart(): Promise<void> {
    await this.kill()
    const child = spawn('mosquitto', ['-c', join(this.folder, 'mosquitto.conf')], {
      stdio: ['ignore', 'pipe', 'pipe'],
      env: { ...process.env, PATH: `${process.env['PATH']}:/usr/sbin:/usr/local/sbin` },
    })
    this.#child = child
    let failure: unknown
    child.once('error', error => { failure = error })
    for (const stream of [child.stdout, child.stderr]) stream?.on('data', (text: Buffer) => { this.output = (this.output + text.toString()).slice(-20_000) })
    for (const end = performance.now() + READY_LIMIT_MS; performance.now() < end;) {
      if (isMissing(failure)) throw new ParleyError('no-mosquitto', 'the tests need a Mosquitto', { hint: 'apt-get install mosquitto', cause: failure })
      if (child.exitCode !== null) break
      if (await answers(this.port)) return
      await new Promise(resolve => setTimeout(resolve, 20))
    }
    await this.kill()
    throw new ParleyError('broker-dead', `mosquitto does not answer on port ${this.port}: ${this.output}`)
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.kill()
    await rm(this.folder, { recursive: true, force: true })
  }
}
