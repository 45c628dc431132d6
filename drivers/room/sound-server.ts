import { spawn, execFile, type ChildProcess } from 'node:child_process'
import { mkdtemp, mkdir, open, readFile, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { ParleyError, isMissing } from '../../base/errors.js'
import { kill } from '../../base/kill.js'
import { WEBRTC } from '../echo/echo-cancel.js'
import { Recording } from './recording.js'

const run = promisify(execFile)
/** PulseAudio with our modules answers in ~0.3 s; ten times that on a busy machine. */
const READY_LIMIT_MS = 5_000

export interface SoundServerOptions {
  /** Loads WebRTC echo cancellation: source `ec_mic`, sink `ec_spk`. */
  readonly echoCancel?: boolean
  /** Connects the speaker to the room, so that the microphone hears it. Default true. */
  readonly loopback?: boolean
  /** A file of further PulseAudio commands that it reads at each start. */
  readonly include?: string
}

/**
 * A real sound server without hardware, on a private socket: what is played into sink `spk` sounds in sink `room`,
 * and source `mic` hears the room. Several can run beside each other and beside the system's own.
 */
export class SoundServer implements AsyncDisposable {
  readonly #options: SoundServerOptions
  readonly #players = new Set<ChildProcess>()
  #folder = ''
  #daemon: ChildProcess | undefined

  constructor(options: SoundServerOptions = {}) {
    this.#options = options
  }

  static async start(options: SoundServerOptions = {}): Promise<SoundServer> {
    const server = new SoundServer(options)
    server.#folder = await mkdtemp(join(tmpdir(), 'parley-sound-'))
    try {
      await mkdir(join(server.#folder, 'home'), { mode: 0o700 })
      await writeFile(join(server.#folder, 'alsa.conf'), ALSA_CONFIG)
      await server.restart()
    } catch (error) {
      await server[Symbol.asyncDispose]()
      throw error
    }
    return server
  }

  /** The variables that make every sound program and library use this server. */
  get env(): Record<string, string> {
    return {
      PULSE_SERVER: `unix:${join(this.#folder, 'native')}`,
      PULSE_RUNTIME_PATH: join(this.#folder, 'run'),
      PULSE_STATE_PATH: join(this.#folder, 'state'),
      PULSE_COOKIE: join(this.#folder, 'cookie'),
      ALSA_CONFIG_PATH: join(this.#folder, 'alsa.conf'),
      PULSE_SINK: 'spk',
      PULSE_SOURCE: 'mic',
    }
  }

  /** Points this process, and the children it starts from now on, at this server. */
  useHere(): void {
    Object.assign(process.env, this.env)
  }

  get pid(): number | undefined {
    return this.#daemon?.pid
  }

  /** Dies as in a crash: no goodbye to its clients. */
  async kill(): Promise<void> {
    const daemon = this.#daemon
    this.#daemon = undefined
    await kill(daemon)
  }

  /** Starts (again) on the same socket; resolves once it answers. */
  async restart(): Promise<void> {
    await this.kill()
    await rm(join(this.#folder, 'run'), { recursive: true, force: true })
    await rm(join(this.#folder, 'native'), { force: true })
    await mkdir(join(this.#folder, 'run'), { mode: 0o700 })
    const script = join(this.#folder, 'modules.pa')
    await writeFile(script, this.#modules())
    // With pipes for its output, a client that outlives the server would hang on them.
    const log = await open(join(this.#folder, 'server.log'), 'a')
    try {
      const args = ['-n', '--daemonize=no', '--exit-idle-time=-1', '--use-pid-file=no', '--disable-shm=yes', '--realtime=no', '--high-priority=no', '--log-target=stderr', `--file=${script}`]
      this.#daemon = spawn('pulseaudio', args, { env: { ...this.#clean(), ...this.env, HOME: join(this.#folder, 'home') }, stdio: ['ignore', log.fd, log.fd] })
      await this.#ready(this.#daemon)
    } finally {
      await log.close()
    }
  }

  async #ready(daemon: ChildProcess): Promise<void> {
    let failure: unknown
    daemon.once('error', error => { failure = error })
    const end = performance.now() + READY_LIMIT_MS
    while (performance.now() < end) {
      if (isMissing(failure)) throw new ParleyError('missing-program', 'pulseaudio is not installed', { hint: 'apt-get install pulseaudio pulseaudio-utils libasound2-plugins alsa-utils', cause: failure })
      if (daemon.exitCode !== null) break
      const last = this.#options.echoCancel ? 'ec_mic' : 'mic'
      const sources = await this.pactl('list', 'short', 'sources').catch(() => '')
      if (sources.split('\n').some(line => line.split('\t')[1] === last)) return
      await new Promise(resolve => setTimeout(resolve, 25))
    }
    const log = await readFile(join(this.#folder, 'server.log'), 'utf8')
    throw new ParleyError('sound-server', `PulseAudio did not start: ${log.slice(-600)}`)
  }

  async pactl(...args: string[]): Promise<string> {
    const { stdout } = await run('pactl', args, { env: { ...process.env, ...this.env }, timeout: 2_000 })
    return stdout
  }

  /** Unplugs the microphone: its source is gone. */
  async unplugMicrophone(): Promise<void> {
    await this.pactl('unload-module', 'module-remap-source')
  }

  async plugMicrophone(): Promise<void> {
    await this.pactl('load-module', 'module-remap-source', 'source_name=mic', 'master=room.monitor')
  }

  /** Plays mono samples into a sink as somebody in the room would; resolves when the player has ended. */
  async play(samples: Float32Array, rate: number, sink = 'room', signal?: AbortSignal): Promise<void> {
    const args = ['--playback', '--raw', '--format=float32le', `--rate=${rate}`, '--channels=1', `--device=${sink}`, '--latency-msec=40']
    const child = spawn('pacat', args, { env: { ...process.env, ...this.env }, stdio: ['pipe', 'ignore', 'ignore'] })
    this.#players.add(child)
    const abort = (): void => { child.kill('SIGKILL') }
    signal?.addEventListener('abort', abort, { once: true })
    child.stdin.on('error', () => {}) // killed players: their exit tells
    child.stdin.end(Buffer.from(samples.buffer, samples.byteOffset, samples.byteLength))
    await new Promise<void>((resolve, reject) => { child.once('exit', () => resolve()); child.once('error', reject) })
    signal?.removeEventListener('abort', abort)
    this.#players.delete(child)
  }

  /** Listens to a source (`spk.monitor`: what the speaker really gives out). 16 kHz mono, times of this process's clock. */
  async record(source = 'spk.monitor'): Promise<Recording> {
    const args = ['--record', '--raw', '--format=float32le', '--rate=16000', '--channels=1', `--device=${source}`, '--latency-msec=10']
    const child = spawn('pacat', args, { env: { ...process.env, ...this.env }, stdio: ['ignore', 'pipe', 'ignore'] })
    this.#players.add(child)
    child.once('exit', () => this.#players.delete(child))
    return Recording.begin(child)
  }

  /** Ends everything that this object started, and removes its folder. */
  async [Symbol.asyncDispose](): Promise<void> {
    for (const player of this.#players) player.kill('SIGKILL')
    await this.kill()
    if (this.#folder) await rm(this.#folder, { recursive: true, force: true })
  }

  #modules(): string {
    const socket = join(this.#folder, 'native')
    // Without norewinds a null sink renders 2 s ahead, and nothing played can be taken back.
    return [
      `load-module module-native-protocol-unix auth-anonymous=1 socket=${socket}`,
      'load-module module-null-sink sink_name=spk rate=48000 channels=2 norewinds=1',
      'load-module module-null-sink sink_name=room rate=48000 channels=2 norewinds=1',
      'set-default-sink spk',
      'load-module module-remap-source source_name=mic master=room.monitor',
      'set-default-source mic',
      ...(this.#options.loopback === false ? [] : ['load-module module-loopback source=spk.monitor sink=room latency_msec=40 source_dont_move=1 sink_dont_move=1']),
      ...(this.#options.echoCancel ? [ECHO_CANCEL] : []),
      ...(this.#options.include ? [`.include ${this.#options.include}`] : []),
    ].join('\n') + '\n'
  }

  #clean(): NodeJS.ProcessEnv {
    const { PULSE_SINK: _sink, PULSE_SOURCE: _source, DBUS_SESSION_BUS_ADDRESS: _bus, ...rest } = process.env
    return rest
  }
}

const ALSA_CONFIG = `</usr/share/alsa/alsa.conf>
pcm.!default { type pulse }
ctl.!default { type pulse }
`
const ECHO_CANCEL = ['load-module module-echo-cancel source_master=mic sink_master=spk source_name=ec_mic sink_name=ec_spk', ...WEBRTC].join(' ')
