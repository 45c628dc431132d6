import { execFile, execFileSync, spawn, spawnSync, type ChildProcess } from 'node:child_process'
import { existsSync } from 'node:fs'
import { copyFile, mkdir, mkdtemp, readFile, realpath, rm, writeFile } from 'node:fs/promises'
import { homedir } from 'node:os'
import { dirname, join } from 'node:path'
import { setTimeout as delay } from 'node:timers/promises'
import { promisify } from 'node:util'

/** As in make-root.sh. */
export const DEBIAN = process.env['PARLEY_DEBIAN_ROOT'] ?? join(process.env['XDG_CACHE_HOME'] ?? join(homedir(), '.cache'), 'parley/debian-12')

/** Why it cannot run here; false: it can. */
export function whyNot(): string | false {
  if (process.getuid?.() !== 0) return 'systemd-nspawn needs root'
  if (spawnSync('systemd-nspawn', ['--version']).status !== 0) return 'systemd-nspawn is missing (apt-get install systemd-container)'
  if (!existsSync(join(DEBIAN, 'usr/lib/systemd/systemd'))) return `there is no Debian root in ${DEBIAN} (deploy/boot-test/make-root.sh makes one)`
  const { status } = spawnSync('systemd-nspawn', ['-q', '-D', DEBIAN, '--register=no', '--keep-unit', '--as-pid2', '/bin/true'], { timeout: 30_000 })
  return status === 0 ? false : 'systemd-nspawn does not work on this machine (no namespaces); elsewhere: sudo deploy/boot-test/run.sh'
}

/** A Debian with a real systemd, from a copy of the root. */
export class Container implements AsyncDisposable {
  readonly folder: string
  #child: ChildProcess | undefined
  #leader = 0

  private constructor(folder: string) {
    this.folder = folder
  }

  /** `node`: false for a root in which nobody has installed anything. */
  static async prepare(node = true): Promise<Container> {
    // Beside the root: hard disk, and the same file system, so that it copies fast.
    const folder = await mkdtemp(join(dirname(DEBIAN), 'boot-'))
    execFileSync('cp', ['-a', '--reflink=auto', `${DEBIAN}/.`, folder])
    if (node) await copyFile(await realpath(process.execPath), join(folder, 'usr/bin/node'))
    return new Container(folder)
  }

  path(inside: string): string {
    return join(this.folder, inside)
  }

  async put(inside: string, text: string): Promise<void> {
    await mkdir(dirname(this.path(inside)), { recursive: true })
    await writeFile(this.path(inside), text)
  }

  /** Runs one command in the root that is not booted, with the network of this machine. `see`: folders of this machine, read-only. */
  async before(command: readonly string[], see: Readonly<Record<string, string>> = {}, limitMs = 240_000): Promise<string> {
    const binds = Object.entries(see).map(([inside, folder]) => `--bind-ro=${folder}:${inside}`)
    const { stdout, stderr } = await promisify(execFile)('systemd-nspawn', ['-q', '-D', this.folder, '--register=no', '--keep-unit', '--as-pid2', '--resolv-conf=replace-host', '--console=pipe', ...binds, ...command], { timeout: limitMs, killSignal: 'SIGKILL', maxBuffer: 64 << 20 })
    return stdout + stderr
  }

  /** `network`: with that of this machine, where a test's broker is. */
  async boot(see: Readonly<Record<string, string>> = {}, { network = false } = {}): Promise<void> {
    const binds = Object.entries(see).map(([inside, folder]) => `--bind-ro=${folder}:${inside}`)
    this.#child = spawn('systemd-nspawn', ['-q', '-D', this.folder, '--register=no', '--keep-unit', ...(network ? [] : ['--private-network']), ...binds, '-b', '--console=pipe'], { stdio: ['ignore', 'ignore', 'ignore'] })
    for (let i = 0; i < 300; i++) {
      await delay(200)
      const children = await readFile(`/proc/${this.#child.pid}/task/${this.#child.pid}/children`, 'utf8').catch(() => '')
      this.#leader = Number(children.trim().split(' ')[0])
      if (this.#leader > 0 && /running|degraded/.test(await this.run('systemctl', 'is-system-running').catch(error => String(error.stdout)))) return
    }
    throw new Error('the container did not boot in 60 s')
  }

  async run(...command: string[]): Promise<string> {
    // Tap hands its own options to every node that is started below it; in there are no such files.
    const { stdout } = await promisify(execFile)('nsenter', ['-t', String(this.#leader), '-a', 'env', '-u', 'NODE_OPTIONS', ...command], { timeout: 60_000, env: { PATH: '/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin' } })
    return stdout.trim()
  }

  async show(unit: string, property: string): Promise<string> {
    return this.run('systemctl', 'show', '-p', property, '--value', unit)
  }

  /** Waits until a property of a unit is as wanted; returns what it was at last. */
  async until(unit: string, property: string, wanted: RegExp, limitMs: number): Promise<string> {
    let seen = ''
    for (const end = performance.now() + limitMs; performance.now() < end; await delay(150)) {
      seen = await this.show(unit, property)
      if (wanted.test(seen)) break
    }
    return seen
  }

  /** Waits until a unit has said something; returns what it said. A unit is active before it has said a word. */
  async untilSaid(unit: string, wanted: RegExp, limitMs = 10_000): Promise<string> {
    let said = ''
    for (const end = performance.now() + limitMs; performance.now() < end; await delay(150)) {
      said = await this.journal(unit)
      if (wanted.test(said)) break
    }
    return said
  }

  /** For a test that fails. */
  journal(unit: string): Promise<string> {
    return this.run('journalctl', '--no-pager', '-n', '40', '-u', unit).catch(String)
  }

  async [Symbol.asyncDispose](): Promise<void> {
    const child = this.#child
    if (child && child.exitCode === null) {
      // Without a bus of the host nspawn asks its systemd for an orderly end with this signal; then by force.
      const ended = new Promise<void>(resolve => child.once('close', () => resolve()))
      child.kill('SIGTERM')
      const late = setTimeout(() => child.kill('SIGKILL'), 15_000)
      await ended
      clearTimeout(late)
    }
    await rm(this.folder, { recursive: true, force: true })
  }
}

