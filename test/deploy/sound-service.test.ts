import { execFile, spawn, spawnSync, type ChildProcess } from 'node:child_process'
import { once } from 'node:events'
import { mkdir, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as delay } from 'node:timers/promises'
import { promisify } from 'node:util'
import t, { type Test } from 'tap'

const run = promisify(execFile)
const SOUND = new URL('../../../deploy/sound/', import.meta.url).pathname
const skip = spawnSync('pulseaudio', ['--version']).status === 0 && spawnSync('pactl', ['--version']).status === 0 ? false : 'pulseaudio is missing here'
t.setTimeout(90_000)

/** A microphone and a speaker without hardware, as a card would bring them. */
const CARD = ['load-module module-null-sink sink_name=spk rate=48000 norewinds=1', 'load-module module-null-sink sink_name=room rate=48000 norewinds=1', 'load-module module-remap-source source_name=mic master=room.monitor', 'set-default-sink spk', 'set-default-source mic']

/** The script of the unit, with the real server, in folders of its own. */
class Server implements AsyncDisposable {
  log = ''

  private constructor(readonly folder: string, readonly script: ChildProcess) {
    script.stderr?.on('data', (text: Buffer) => { this.log += text.toString() })
  }

  static async start(t: Test, modules: readonly string[]): Promise<Server> {
    const folder = await mkdtemp(join(tmpdir(), 'parley-sound-'))
    t.teardown(() => rm(folder, { recursive: true, force: true }))
    for (const name of ['run', 'etc', 'bin']) await mkdir(join(folder, name))
    await writeFile(join(folder, 'etc/sound.pa'), `${modules.join('\n')}\n`)
    await writeFile(join(folder, 'bin/systemd-notify'), `#!/bin/sh\necho "$@" >>'${folder}/told'\n`, { mode: 0o755 })
    const env = { PATH: `${folder}/bin:${process.env['PATH']}`, RUNTIME_DIRECTORY: join(folder, 'run'), PARLEY_ETC: join(folder, 'etc'), PARLEY_CANCELLER: join(SOUND, 'parley.pa'), NOTIFY_SOCKET: '@nobody' }
    return new Server(folder, spawn('sh', [join(SOUND, 'sound.sh')], { env, stdio: ['ignore', 'ignore', 'pipe'] }))
  }

  async pactl(...args: string[]): Promise<string> {
    return (await run('pactl', args, { env: { ...process.env, PULSE_SERVER: `unix:${this.folder}/run/native` }, timeout: 5_000 }).catch(() => ({ stdout: '' }))).stdout
  }

  /** Of the names of the sources. */
  async until(what: (sources: string) => boolean, limitMs = 20_000): Promise<string> {
    for (const end = performance.now() + limitMs; ; await delay(100)) {
      const sources = await this.pactl('list', 'short', 'sources')
      if (what(sources)) return sources
      if (performance.now() > end) throw new Error(`not in ${limitMs} ms; there are ${sources} ${this.log.slice(-800)}`)
    }
  }

  async told(): Promise<string> {
    for (const end = performance.now() + 25_000; performance.now() < end; await delay(50)) {
      const said = await readFile(join(this.folder, 'told'), 'utf8').catch(() => '')
      if (said !== '') return said
    }
    throw new Error(`systemd was told nothing: ${this.log.slice(-800)}`)
  }

  async [Symbol.asyncDispose](): Promise<void> {
    if (this.script.exitCode !== null || this.script.signalCode !== null) return
    const gone = once(this.script, 'exit')
    this.script.kill('SIGTERM')
    await gone
  }
}

const cancels = (sources: string): boolean => /\tparley_mic\t/.test(sources)

t.test('it is READY with the echo canceller in its place, between the microphone and the speaker that there are', { skip }, async t => {
  await using server = await Server.start(t, CARD)
  t.equal(await server.told(), '--ready --status=with its echo canceller\n')
  t.ok(cancels(await server.pactl('list', 'short', 'sources')))
  t.match(await server.pactl('list', 'short', 'modules'), /module-echo-cancel\tsource_name=parley_mic sink_name=parley_speaker aec_method=webrtc.*aec_args="analog_gain_control=0 digital_gain_control=0"/)
})

t.test('without a card it is READY all the same, says so, and puts the canceller in once there is one', { skip }, async t => {
  await using server = await Server.start(t, [])
  t.equal(await server.told(), '--ready --status=no microphone or no speaker yet\n')
  for (const line of CARD.slice(0, 3)) await server.pactl(...line.split(' '))
  t.ok(await server.until(cancels))
})

t.test('a card that is unplugged and comes back has its canceller again', { skip }, async t => {
  await using server = await Server.start(t, CARD)
  await server.told()
  await server.pactl('unload-module', 'module-echo-cancel')
  await server.pactl('unload-module', 'module-remap-source')
  await server.until(sources => !cancels(sources))
  await server.pactl('load-module', 'module-remap-source', 'source_name=mic', 'master=room.monitor')
  t.ok(await server.until(cancels))
})

t.test('a server that dies ends the unit, so that systemd starts it again', { skip }, async t => {
  await using server = await Server.start(t, CARD)
  await server.told()
  const exit = once(server.script, 'exit')
  const { stdout } = await run('pgrep', ['-P', String(server.script.pid), 'pulseaudio'])
  process.kill(Number(stdout), 'SIGKILL')
  const [code] = await exit
  t.not(code, 0)
})

t.test('a stop takes the server along', { skip }, async t => {
  const server = await Server.start(t, CARD)
  await server.told()
  const { stdout } = await run('pgrep', ['-P', String(server.script.pid)])
  const began = performance.now()
  await server[Symbol.asyncDispose]()
  t.ok(performance.now() - began < 4_000)
  for (const pid of stdout.trim().split('\n')) t.throws(() => process.kill(Number(pid), 0), { code: 'ESRCH' })
})
