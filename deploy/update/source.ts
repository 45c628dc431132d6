import { createReadStream } from 'node:fs'
import { stat } from 'node:fs/promises'
import { join } from 'node:path'
import { ParleyError, isMissing } from '../../base/errors.js'
import { ask, collect, shown, type Access } from './http.js'

export interface Opened {
  /** Where these bytes begin: what was asked for, or 0 when the server cannot resume. */
  readonly from: number
  readonly chunks: AsyncIterable<Uint8Array>
}

/** Plain static files: a web server, a folder, a USB stick, a hawkBit server. Nothing that it says is trusted. */
export interface Source {
  readonly name: string
  /** Rejects with code `update-missing` when there is no such file. */
  open(path: string, from: number, signal: AbortSignal): Promise<Opened>
}

/** Without a byte for so long a download has stalled, ms: a mobile link changes its cell in a few seconds. */
const STALL_MS = 30_000

export class HttpSource implements Source {
  readonly name: string
  readonly #access: Access

  constructor(base: string, access: Access = {}) {
    this.name = base.replace(/\/+$/, '')
    this.#access = access
  }

  async open(path: string, from: number, signal: AbortSignal): Promise<Opened> {
    return openUrl(this.urlOf(path), from, this.#access, signal)
  }

  urlOf(path: string): string {
    return `${this.name}/${path.split('/').map(encodeURIComponent).join('/')}`
  }
}

export async function openUrl(url: string, from: number, { headers, ca }: Access, signal: AbortSignal, stallMs = STALL_MS): Promise<Opened> {
  const stalled = new AbortController()
  const watch = watchdog(stallMs, () => stalled.abort(new ParleyError('update-stalled', `${shown(url)} gave nothing for ${stallMs} ms`)))
  try {
    const answer = await ask(url, { headers: { ...headers, ...(from > 0 ? { range: `bytes=${from}-` } : {}) }, ...(ca === undefined ? {} : { ca }), signal: AbortSignal.any([signal, stalled.signal]) })
    const { status } = answer
    if (status >= 200 && status < 300 && status !== 204) {
      const range = /^bytes (\d+)-/.exec(answer.headers['content-range'] ?? '')
      return { from: status === 206 && range ? Number(range[1]) : 0, chunks: watched(answer.chunks, watch) }
    }
    answer.drop()
    if (status === 404 || status === 403) throw new ParleyError('update-missing', `${shown(url)} does not exist (${status})`)
    if (status !== 416) throw new ParleyError('update-http', `${shown(url)} answered ${status}`)
  } catch (error) {
    watch.stop()
    throw error
  }
  watch.stop()
  // 416: nothing is left from there on; the hash decides whether it is all.
  return { from, chunks: (async function* () {})() }
}

interface Watch {
  feed(): void
  stop(): void
}

function watchdog(ms: number, late: () => void): Watch {
  let timer = setTimeout(late, ms)
  return { feed: () => void (clearTimeout(timer), (timer = setTimeout(late, ms))), stop: () => clearTimeout(timer) }
}

async function* watched(body: AsyncIterable<Uint8Array>, watch: Watch): AsyncGenerator<Uint8Array> {
  try {
    for await (const chunk of body) {
      watch.feed()
      yield chunk
    }
  } finally {
    watch.stop()
  }
}

/** A folder with the same files: a USB stick, a share. */
export class FolderSource implements Source {
  readonly name: string

  constructor(folder: string) {
    this.name = folder
  }

  async open(path: string, from: number, signal: AbortSignal): Promise<Opened> {
    const file = join(this.name, path)
    try {
      await stat(file)
    } catch (cause) {
      if (isMissing(cause)) throw new ParleyError('update-missing', `${file} does not exist`, { cause })
      throw cause
    }
    return { from, chunks: createReadStream(file, { start: from, signal }) }
  }
}

/** A small file as a whole; refuses one that is longer than it may be. */
export async function fetchSmall(source: Source, path: string, limit: number, signal: AbortSignal): Promise<Buffer> {
  return collect((await source.open(path, 0, signal)).chunks, limit, `${path} from ${source.name}`)
}

export const sourceFor = (place: string, access: Access = {}): Source =>
  /^https?:\/\//.test(place) ? new HttpSource(place, access) : new FolderSource(place.replace(/^file:\/\//, ''))
