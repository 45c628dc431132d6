import { z } from 'zod'
import { ParleyError } from '../../base/errors.js'
import { openUrl, type Opened, type Source } from '../update/source.js'
import { sleepMs } from './poll-pace.js'

/**
 * Eclipse hawkBit's Direct Device Integration API, v1 (eclipse.dev/hawkbit, REST API DDI). An existing server says *when* and
 * hands out the files; *what* may run is still said by the vendor's signatures: a server that was broken into can withhold a
 * release and no more.
 */
const link = z.object({ href: z.string() })
const base = z.object({
  config: z.object({ polling: z.object({ sleep: z.string() }) }),
  _links: z.object({ deploymentBase: link.optional(), cancelAction: link.optional(), configData: link.optional() }).default({}),
})
const artifact = z.object({ filename: z.string(), size: z.number(), _links: z.object({ download: link.optional(), 'download-http': link.optional() }) })
const deployment = z.object({
  id: z.string(),
  deployment: z.object({
    download: z.enum(['skip', 'attempt', 'forced']),
    update: z.enum(['skip', 'attempt', 'forced']),
    maintenanceWindow: z.enum(['available', 'unavailable']).optional(),
    chunks: z.array(z.object({ name: z.string(), version: z.string(), artifacts: z.array(artifact).default([]) })),
  }),
})

export interface Action {
  readonly id: string
  readonly version: string
  /** False: fetch it, but do not switch yet (`update: skip`, or outside the server's maintenance window). */
  readonly mayInstall: boolean
  readonly source: Source
}
export interface Poll {
  /** Until the server wants to be asked again, within the limits of `poll-pace.ts`. */
  readonly sleepMs: number
  readonly action?: Action
  /** The id of an action that the server takes back. */
  readonly cancelled?: string
}
export type Execution = 'proceeding' | 'download' | 'downloaded' | 'scheduled' | 'resumed' | 'rejected' | 'canceled' | 'closed'
export type Finished = 'none' | 'success' | 'failure'

export interface HawkbitSettings {
  /** `https://server/TENANT/controller/v1/DEVICE` */
  readonly url: string
  readonly token: string
  readonly tokenKind?: 'TargetToken' | 'GatewayToken'
}

const LIMIT_MS = 30_000

export class Hawkbit {
  readonly #settings: HawkbitSettings

  constructor(settings: HawkbitSettings) {
    this.#settings = settings
  }

  async poll(signal: AbortSignal, attributes: Readonly<Record<string, string>> = {}): Promise<Poll> {
    const { config, _links } = base.parse(await this.#json('GET', this.#settings.url, undefined, signal))
    const next = { sleepMs: sleepMs(config.polling.sleep) }
    if (_links.configData) await this.#json('PUT', _links.configData.href, { mode: 'merge', data: attributes }, signal)
    if (_links.cancelAction) {
      const { cancelAction } = z.object({ cancelAction: z.object({ stopId: z.string() }) }).parse(await this.#json('GET', _links.cancelAction.href, undefined, signal))
      return { ...next, cancelled: cancelAction.stopId }
    }
    if (!_links.deploymentBase) return next
    const { id, deployment: what } = deployment.parse(await this.#json('GET', _links.deploymentBase.href, undefined, signal))
    if (what.download === 'skip') return next
    const files = new Map(what.chunks.flatMap(c => c.artifacts).map(a => [a.filename, a._links.download?.href ?? a._links['download-http']?.href]))
    const mayInstall = what.update !== 'skip' && what.maintenanceWindow !== 'unavailable'
    return { ...next, action: { id, version: what.chunks[0]?.version ?? '', mayInstall, source: new ArtifactSource(this.#settings.url, files, this.#headers()) } }
  }

  async feedback(id: string, execution: Execution, finished: Finished, details: readonly string[], signal: AbortSignal, progress?: { cnt: number; of: number }): Promise<void> {
    const body = { id, status: { execution, result: { finished, ...(progress ? { progress } : {}) }, details } }
    await this.#json('POST', `${this.#settings.url}/deploymentBase/${encodeURIComponent(id)}/feedback`, body, signal)
  }

  async cancelled(id: string, accepted: boolean, signal: AbortSignal): Promise<void> {
    const status = { execution: accepted ? 'closed' : 'rejected', result: { finished: accepted ? 'success' : 'failure' }, details: [] }
    await this.#json('POST', `${this.#settings.url}/cancelAction/${encodeURIComponent(id)}/feedback`, { id, status }, signal)
  }

  #headers(): Record<string, string> {
    return { authorization: `${this.#settings.tokenKind ?? 'TargetToken'} ${this.#settings.token}` }
  }

  async #json(method: string, url: string, body: unknown, signal: AbortSignal): Promise<unknown> {
    // The token goes to the server that it is for, wherever an answer points.
    if (new URL(url).origin !== new URL(this.#settings.url).origin) throw new ParleyError('hawkbit', `the server points to another one: ${new URL(url).origin}`)
    const init = { method, headers: { ...this.#headers(), accept: 'application/hal+json, application/json', ...(body === undefined ? {} : { 'content-type': 'application/json' }) }, ...(body === undefined ? {} : { body: JSON.stringify(body) }), signal: AbortSignal.any([signal, AbortSignal.timeout(LIMIT_MS)]) }
    const response = await fetch(url, init)
    if (response.status === 401 || response.status === 403) throw new ParleyError('hawkbit', `the hawkBit server refuses this device (${response.status})`, { hint: 'Check its token: parley provision' })
    // 410: the action was closed already, so this answer to it is no news.
    if (!response.ok && response.status !== 410) throw new ParleyError('hawkbit', `the hawkBit server answered ${response.status} to ${method} ${new URL(url).pathname}`)
    const text = await response.text()
    return text === '' || response.status === 410 ? {} : JSON.parse(text)
  }
}

/** hawkBit's files have flat names: `metadata/timestamp.json` is uploaded as `metadata__timestamp.json`. */
export const artifactName = (path: string): string => path.replaceAll('/', '__')

class ArtifactSource implements Source {
  readonly name: string
  readonly #files: ReadonlyMap<string, string | undefined>
  readonly #headers: Readonly<Record<string, string>>

  constructor(name: string, files: ReadonlyMap<string, string | undefined>, headers: Readonly<Record<string, string>>) {
    this.name = name
    this.#files = files
    this.#headers = headers
  }

  async open(path: string, from: number, signal: AbortSignal): Promise<Opened> {
    const url = this.#files.get(artifactName(path))
    if (url === undefined) throw new ParleyError('update-missing', `the hawkBit action has no file ${artifactName(path)}`)
    const own = new URL(url).origin === new URL(this.name).origin
    return openUrl(url, from, own ? this.#headers : {}, signal)
  }
}
