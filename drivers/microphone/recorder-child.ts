import type { ChildProcess } from 'node:child_process'
import recorder from 'node-record-lpcm16'
import { ParleyError, isMissing } from '../../base/errors.js'
import { MIC_RATE } from '../../base/frames.js'

/** One kind of recorder program. */
export interface RecorderKind {
  /** Absolute path of our module for node-record-lpcm16, resolved from our own code: loading it runs it. */
  readonly module: string
  readonly program: string
  readonly apt: string
  /** What a sample takes from the source to our pipe, ms; measured through the sound server (test/drivers/microphone-latency). */
  readonly latencyMs: number
  /** Tells from a line of stderr that the recording no longer is of the device that was asked for. */
  lostBy?(line: string, device: string | undefined): boolean
}

/** One run of the recorder program, from its start to the loss of the device. */
export class RecorderChild {
  readonly #child: ChildProcess
  /** Resolves, once, with why the recording is over. Never rejects. */
  readonly ended: Promise<ParleyError>
  #over: (why: ParleyError) => void = () => {}
  #stderr = ''

  constructor(kind: RecorderKind, device: string | undefined, onData: (bytes: Buffer) => void) {
    this.ended = new Promise(resolve => { this.#over = resolve })
    const recording = recorder.record({ recorder: kind.module, sampleRate: MIC_RATE, channels: 1, audioType: 'raw', ...(device ? { device } : {}) })
    this.#child = recording.process
    // Without this listener a missing program would end the runtime.
    this.#child.on('error', error => {
      this.#over(isMissing(error)
        ? new ParleyError('missing-program', `${kind.program} is not installed`, { cause: error, hint: `apt-get install ${kind.apt}` })
        : new ParleyError('device-lost', `${kind.program} cannot be started`, { cause: error }))
    })
    const stream = recording.stream()
    stream.on('data', onData)
    stream.on('error', () => {}) // the library reports an exit code here, as a string; `close` below says more
    stream.on('end', () => this.#lost(kind)) // sox and others end with code 0 when the server dies
    this.#child.on('close', () => this.#lost(kind))
    this.#child.stderr?.on('data', (bytes: Buffer) => this.#listen(bytes, kind, device))
  }

  /** Ends the program (SIGKILL: a hung one too) and waits until it is gone, so that the device is free to be opened again. */
  async kill(): Promise<void> {
    if (this.#child.pid === undefined || this.#child.exitCode !== null || this.#child.signalCode !== null) return
    const gone = new Promise(resolve => this.#child.once('exit', resolve))
    this.#child.kill('SIGKILL')
    await gone
  }

  get pid(): number | undefined {
    return this.#child.pid
  }

  #listen(bytes: Buffer, kind: RecorderKind, device: string | undefined): void {
    const lines = (this.#stderr + bytes.toString('latin1')).split(/[\r\n]+/)
    for (const line of lines) {
      if (kind.lostBy?.(line, device)) this.#over(new ParleyError('device-lost', `${device ?? 'the device'} is gone: ${line.trim()}`))
    }
    // Progress lines come for as long as it runs: only the newest are kept.
    this.#stderr = lines.filter(line => !line.startsWith('Time:')).join('\n').slice(-400)
  }

  #lost(kind: RecorderKind): void {
    const said = this.#stderr.trim().split('\n').at(-1)
    this.#over(new ParleyError('device-lost', `${kind.program} ended${said ? `: ${said}` : ''}`))
  }
}
