import { z } from 'zod'
import { ParleyError } from '../../base/errors.js'
import { ask, collect, type Access } from '../update/http.js'
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
  /** PEM file of the authorities that are trusted, in place of the public ones. */
  readonly ca?: string
}

const LIMIT_MS = 30_000
/** An action lists its files with about 1 kB each. */
const LIMIT_BYTES = 4_000_000

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
    return { ...next, action: { id, version: what.chunks[0]?.version ?? '', mayInstall, source: new ArtifactSource(this.#settings.url, files, this.#access()) } }
  }

  async feedback(id: string, execution: Execution, finished: Finished, details: readonly string[], signal: AbortSignal, progress?: { cnt: number; of: number }): Promise<void> {
    const body = { id, status: { execution, result: { finished, ...(progress ? { progress } : {}) }, details } }
    await this.#json('POST', `${this.#settings.url}/deploymentBase/${encodeURIComponent(id)}/feedback`, body, signal)
  }

  async cancelled(id: string, accepted: boolean, signal: AbortSignal): Promise<void> {
    const status = { execution: accepted ? 'closed' : 'rejected', result: { finished: accepted ? 'success' : 'failure' }, details: [] }
    await this.#json('POST', `${this.#settings.url}/cancelAction/${encodeURIComponent(id)}/feedback`, { id, status }, signal)
  }

  #access(): Access {
    const { tokenKind = 'TargetToken', token, ca } = this.#settings
    return { headers: { authorization: `${tokenKind} ${token}` }, ...(ca === undefined ? {} : { ca }) }
  }

  async #json(method: string, url: string, body: unknown, signal: AbortSignal): Promise<unknown> {
    // The token goes to the server that it is for, wherever an answer points.
    if (new URL(url).origin !== new URL(this.#settings.url).origin) throw new ParleyError('hawkbit', `the server points to another one: ${new URL(url).origin}`)
    const what = `${method} ${new URL(url).pathname}`
    const access = this.#access()
    const headers = { ...access.headers, accept: 'application/hal+json, application/json', ...(body === undefined ? {} : { 'content-type': 'application/json' }) }
    const late = new AbortController()
    const timer = setTimeout(() => late.abort(new ParleyError('hawkbit', `the hawkBit server did not answer ${what} in ${LIMIT_MS} ms`)), LIMIT_MS)
    try {
      const answer = await ask(url, { ...access, method, headers, ...(body === undefined ? {} : { body: JSON.stringify(body) }), signal: AbortSignal.any([signal, late.signal]) })
      // 410: the action was closed already, so this answer to it is no news.
      if (answer.status >= 200 && answer.status < 300) return parsed(await collect(answer.chunks, LIMIT_BYTES, `the answer to ${what}`), what)
      answer.drop()
      if (answer.status === 401 || answer.status === 403) throw new ParleyError('hawkbit', `the hawkBit server refuses this device (${answer.status})`, { hint: 'Check its token: parley provision' })
      if (answer.status !== 410) throw new ParleyError('hawkbit', `the hawkBit server answered ${answer.status} to ${what}`)
      return {}
    } finally {
      clearTimeout(timer)
    }
  }
}

function parsed(text: Buffer, what: string): unknown {
  if (text.length === 0) return {}
  try {
    return JSON.parse(text.toString('utf8'))
  } catch {
    // Its own error quotes what was said.
    throw new ParleyError('hawkbit', `the hawkBit server answered ${what} with what is no JSON`)
  }
}

/** hawkBit's files have flat names: `metadata/timestamp.json` is uploaded as `metadata__timestamp.json`. */
export const artifactName = (path: string): string => path.replaceAll('/', '__')

class ArtifactSource implements Source {
  readonly name: string
  readonly #files: ReadonlyMap<string, string | undefined>
  readonly #access: Access

  constructor(name: string, files: ReadonlyMap<string, string | undefined>, access: Access) {
    this.name = name
    this.#files = files
    this.#access = access
  }

  async open(path: string, from: number, signal: AbortSignal): Promise<Opened> {
    const url = this.#files.get(artifactName(path))
    if (url === undefined) throw new ParleyError('update-missing', `the hawkBit action has no file ${artifactName(path)}`)
    const { headers, ...trust } = this.#access
    const own = new URL(url).origin === new URL(this.name).origin
    return openUrl(url, from, own && headers ? { ...trust, headers } : trust, signal)
  }
}
