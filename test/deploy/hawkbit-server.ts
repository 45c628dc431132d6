import { spawn, spawnSync, type ChildProcess } from 'node:child_process'
import { existsSync } from 'node:fs'
import { mkdtemp, readdir, readFile, rm } from 'node:fs/promises'
import { homedir, tmpdir } from 'node:os'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import { type Test } from 'tap'
import { artifactName } from '../../deploy/fleet/hawkbit.js'

/** As in hawkbit/make-server.sh. */
const FOLDER = process.env['PARLEY_HAWKBIT'] ?? join(process.env['XDG_CACHE_HOME'] ?? join(homedir(), '.cache'), 'parley/hawkbit-0.3.0M7')
const OWNER = `Basic ${Buffer.from('owner:secret').toString('base64')}`

/** Why it cannot run here; false: it can. */
export function whyNoServer(): string | false {
  if (spawnSync('java', ['-version']).status !== 0) return 'java is missing (apt-get install default-jdk-headless maven)'
  return existsSync(join(FOLDER, 'parley/HawkbitServer.class')) ? false : `there is no hawkBit in ${FOLDER} (test/deploy/hawkbit/make-server.sh fetches it)`
}

/** A real Eclipse hawkBit, its database in memory, and what an owner does with it through its management API. */
export class HawkbitServer {
  private constructor(readonly url: string) {}

  static async start(t: Test, limitMs = 120_000): Promise<HawkbitServer> {
    const work = await mkdtemp(join(tmpdir(), 'parley-hawkbit-'))
    const settings = {
      'server.address': '127.0.0.1', 'server.port': 0,
      'spring.main.allow-bean-definition-overriding': true, 'spring.jpa.database': 'H2', // as hawkBit's own server has them
      'spring.security.user.name': 'owner', 'spring.security.user.password': '{noop}secret',
      'org.eclipse.hawkbit.repository.file.path': join(work, 'artifacts'),
      'spring.servlet.multipart.max-file-size': -1, 'spring.servlet.multipart.max-request-size': -1,
      'hawkbit.server.ddi.security.authentication.targettoken.enabled': true,
    }
    const java = spawn('java', ['-Xmx512m', '--add-opens', 'java.base/java.lang=ALL-UNNAMED', '-cp', `${FOLDER}:${FOLDER}/lib/*`, 'parley.HawkbitServer', ...Object.entries(settings).map(([k, v]) => `--${k}=${v}`)], { cwd: work, stdio: ['ignore', 'pipe', 'inherit'] })
    t.teardown(async () => {
      java.kill('SIGKILL')
      await rm(work, { recursive: true, force: true, maxRetries: 5 })
    })
    const server = new HawkbitServer(`http://127.0.0.1:${await port(java, limitMs)}`)
    await server.#ask('PUT', '/system/configs/authentication.targettoken.enabled', { value: true })
    return server
  }

  /** The device as its own settings name it. */
  deviceUrl(device: string): string {
    return `${this.url}/DEFAULT/controller/v1/${device}`
  }

  async addDevice(device: string, token: string): Promise<void> {
    await this.#ask('POST', '/targets', [{ controllerId: device, name: device, securityToken: token }])
  }

  /** Uploads every file of the vendor's folder as one distribution; its id. */
  async upload(folder: string, version: string): Promise<number> {
    const [module] = await this.#ask<{ id: number }[]>('POST', '/softwaremodules', [{ name: 'parley', version, type: 'application' }])
    const files = (await readdir(folder, { recursive: true, withFileTypes: true })).filter(e => e.isFile())
    for (const file of files) {
      const path = join(file.parentPath, file.name)
      const form = new FormData()
      form.append('file', new Blob([await readFile(path)]), artifactName(path.slice(folder.length).replace(/^\//, '')))
      await this.#ask('POST', `/softwaremodules/${module?.id}/artifacts`, form)
    }
    const [set] = await this.#ask<{ id: number }[]>('POST', '/distributionsets', [{ name: 'parley', version, type: 'app', modules: [{ id: module?.id }] }])
    return set?.id ?? 0
  }

  /** The action's id. `window`: when it may be installed. */
  async assign(device: string, set: number, window?: { schedule: string; duration: string; timezone: string }): Promise<number> {
    await this.#ask('POST', `/targets/${device}/assignedDS`, [{ id: set, type: 'forced', ...(window ? { maintenanceWindow: window } : {}) }])
    const { content } = await this.#ask<{ content: { id: number }[] }>('GET', `/targets/${device}/actions`)
    return Math.max(...content.map(action => action.id))
  }

  async cancel(device: string, action: number): Promise<void> {
    await this.#ask('DELETE', `/targets/${device}/actions/${action}`)
  }

  async action(device: string, action: number): Promise<{ status: string; detailStatus?: string }> {
    return this.#ask('GET', `/targets/${device}/actions/${action}`)
  }

  /** What the device told of it, oldest first. */
  async told(device: string, action: number): Promise<{ type: string; messages: string[] }[]> {
    const { content } = await this.#ask<{ content: { type: string; messages: string[] }[] }>('GET', `/targets/${device}/actions/${action}/status?sort=id:ASC`)
    return content
  }

  attributes(device: string): Promise<Record<string, string>> {
    return this.#ask('GET', `/targets/${device}/attributes`)
  }

  async #ask<T>(method: string, path: string, body?: unknown): Promise<T> {
    const form = body instanceof FormData
    const response = await fetch(`${this.url}/rest/v1${path}`, {
      method, signal: AbortSignal.timeout(30_000),
      headers: { authorization: OWNER, accept: 'application/json, application/hal+json', ...(body === undefined || form ? {} : { 'content-type': 'application/json' }) },
      ...(body === undefined ? {} : { body: form ? body : JSON.stringify(body) }),
    })
    const text = await response.text()
    if (!response.ok) throw new Error(`${method} ${path}: ${response.status} ${text}`)
    return (text === '' ? undefined : JSON.parse(text)) as T
  }
}

/** The port that it chose, once it listens. */
async function port(java: ChildProcess, limitMs: number): Promise<number> {
  const last: string[] = []
  const timer = setTimeout(() => java.kill('SIGKILL'), limitMs)
  try {
    for await (const line of createInterface({ input: java.stdout as NodeJS.ReadableStream })) {
      const found = /Jetty started on port\(s\) (\d+)/.exec(line)?.[1]
      if (found) return Number(found)
      last.push(line)
    }
  } finally {
    clearTimeout(timer)
    java.stdout?.resume() // its log goes on, and a full pipe would stop it
  }
  throw new Error(`hawkBit ended, or did not start in ${limitMs} ms:\n${last.slice(-30).join('\n')}`)
}
