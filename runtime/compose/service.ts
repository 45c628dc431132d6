import { join } from 'node:path'
import { pause, type Clock } from '../../base/clock.js'
import { deviceRoot } from '../../base/device-root.js'
import { describe } from '../../base/errors.js'
import type { Logger } from '../../base/log.js'
import { uptimeMs } from '../../base/uptime.js'
import { openNotifier, type Notifier } from '../../deploy/notify/notify.js'
import { Watchdog, watchdogLimitMs, type Progress } from '../../deploy/notify/watchdog.js'
import { currentRelease, onTrial } from '../../deploy/update/journal.js'
import { Layout } from '../../deploy/update/layout.js'
import { realDisk } from '../../deploy/update/real-disk.js'
import { setTalking, writeStatus, type Status } from '../../deploy/update/status.js'

/** While the model loads, systemd is asked for so much more, again and again; the engine has its own limit for each provider, ms. */
const EXTEND_MS = 30_000
const EXTEND_EVERY_MS = 10_000
/** A pause between two sentences is not the end of a talk, ms. */
const TALK_TAIL_MS = 5_000
const LOOK_MS = 500
/** The updater takes a lock of a quarter of an hour for one that was left behind; a long talk renews it, ms. */
const RENEW_MS = 300_000

export interface ServiceParts {
  readonly clock: Clock
  readonly log: Logger
  readonly env?: NodeJS.ProcessEnv
  /** For tests. */
  readonly layout?: Layout
  readonly notifier?: Notifier
  /** Ms since the machine started. */
  readonly upMs?: () => number
}

/**
 * What the service manager and the updater, both outside this process, are told: READY, the watchdog, and the files
 * `status.json` and `talking` in the unit's runtime folder. Started by hand there is neither, and it does nothing.
 */
export class Service implements AsyncDisposable {
  readonly #parts: ServiceParts
  readonly #env: NodeJS.ProcessEnv
  readonly #notifier: Notifier
  readonly #closing = new AbortController()
  readonly #folder: string | undefined
  #status: Status
  #writing: Promise<void> = Promise.resolve()
  #work: Promise<void>[] = []
  #talkedAt: number | undefined

  constructor(parts: ServiceParts) {
    this.#parts = parts
    this.#env = parts.env ?? process.env
    this.#notifier = parts.notifier ?? openNotifier(this.#env, error => parts.log.debug({ reason: describe(error) }, 'the service manager was not told'))
    this.#folder = this.#env['RUNTIME_DIRECTORY']?.split(':')[0] || undefined
    this.#status = { startedAt: parts.clock.wall(), startedUpMs: this.#upMs(), selfTest: 'pending', broker: 'pending' }
  }

  /** Whether this process runs as the service, so that an updater judges it by its self-test. */
  get judged(): boolean {
    return this.#folder !== undefined
  }

  /** Whether an updater may still undo the release that this process is. */
  async onTrial(): Promise<boolean> {
    return this.judged && onTrial(realDisk, this.#layout)
  }

  /** Before anything is opened. */
  async start(): Promise<void> {
    const release = await currentRelease(realDisk, this.#layout).catch(() => undefined) // started from a clone: no release
    await this.#tell(release === undefined ? {} : { release })
  }

  /** Asks for time while the model loads, and for nothing else: a microphone that hangs must run into the limit of the start. */
  async loading<T>(load: () => Promise<T>): Promise<T> {
    const watchdog = new Watchdog(this.#notifier, this.#parts.clock, [])
    let over = false
    this.#work.push(this.#until(() => over, EXTEND_EVERY_MS, () => watchdog.extend(EXTEND_MS, 'the model is being loaded')))
    try {
      return await load()
    } finally {
      over = true
    }
  }

  /** Sound is live. */
  ready(progress: readonly Progress[], busy: () => boolean): void {
    const watchdog = new Watchdog(this.#notifier, this.#parts.clock, progress)
    watchdog.ready()
    const limitMs = watchdogLimitMs(this.#env)
    if (limitMs !== undefined) this.#work.push(watchdog.run(limitMs, this.#closing.signal))
    if (this.#folder !== undefined) this.#work.push(this.#watchTalk(busy))
  }

  selfTest(passed: boolean): Promise<void> {
    return this.#tell({ selfTest: passed ? 'passed' : 'failed' })
  }

  brokerReached(): void {
    if (this.#status.broker === 'pending') void this.#tell({ broker: 'reached' })
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#notifier.send('STOPPING=1')
    this.#closing.abort()
    await Promise.all(this.#work)
    await this.#writing
  }

  async #watchTalk(busy: () => boolean): Promise<void> {
    const { clock } = this.#parts
    let lockedAt: number | undefined
    await this.#until(() => false, LOOK_MS, () => {
      const now = clock.now()
      if (busy()) this.#talkedAt = now
      const talking = this.#talkedAt !== undefined && now - this.#talkedAt < TALK_TAIL_MS
      if (talking && (lockedAt === undefined || now - lockedAt > RENEW_MS)) {
        lockedAt = now
        this.#write(path => setTalking(true, path, this.#upMs()), 'talking')
      } else if (!talking && lockedAt !== undefined) {
        lockedAt = undefined
        this.#write(path => setTalking(false, path), 'talking')
        void this.#tell({ lastTalkAt: clock.wall(), lastTalkUpMs: this.#upMs() })
      }
    })
    if (lockedAt !== undefined) this.#write(path => setTalking(false, path), 'talking')
  }

  get #layout(): Layout {
    return this.#parts.layout ?? new Layout(deviceRoot(this.#env))
  }

  #upMs(): number {
    return (this.#parts.upMs ?? uptimeMs)()
  }

  #tell(change: Partial<Status>): Promise<void> {
    this.#status = { ...this.#status, ...change }
    const status = this.#status
    return this.#write(path => writeStatus(status, path), 'status.json')
  }

  /** In order, and never more than a warning: a voice must not depend on it. */
  #write(work: (path: string) => Promise<void>, name: string): Promise<void> {
    const folder = this.#folder
    if (folder === undefined) return this.#writing
    return (this.#writing = this.#writing.then(() => work(join(folder, name))).catch((error: unknown) => this.#parts.log.warn({ reason: describe(error) }, 'the updater was not told')))
  }

  async #until(over: () => boolean, ms: number, work: () => void): Promise<void> {
    const { signal } = this.#closing
    while (!signal.aborted && !over()) {
      work()
      await pause(this.#parts.clock, ms, signal)
    }
  }
}
