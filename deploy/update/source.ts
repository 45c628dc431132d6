import { createReadStream } from 'node:fs'
import { stat } from 'node:fs/promises'
import { join } from 'node:path'
import { ParleyError, isMissing } from '../../base/errors.js'

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
  readonly #headers: Readonly<Record<string, string>>

  constructor(base: string, headers: Readonly<Record<string, string>> = {}) {
    this.name = base.replace(/\/+$/, '')
    this.#headers = headers
  }

  async open(path: string, from: number, signal: AbortSignal): Promise<Opened> {
    return openUrl(this.urlOf(path), from, this.#headers, signal)
  }

  urlOf(path: string): string {
    return `${this.name}/${path.split('/').map(encodeURIComponent).join('/')}`
  }
}

export async function openUrl(url: string, from: number, headers: Readonly<Record<string, string>>, signal: AbortSignal, stallMs = STALL_MS): Promise<Opened> {
  const stalled = new AbortController()
  const both = AbortSignal.any([signal, stalled.signal])
  // `identity`: a range of a compressed body is a range of something else.
  const asked = { ...headers, 'accept-encoding': 'identity', ...(from > 0 ? { range: `bytes=${from}-` } : {}) }
  const watch = watchdog(stallMs, () => stalled.abort(new ParleyError('update-stalled', `${url} gave nothing for ${stallMs} ms`)))
  try {
    const response = await fetch(url, { headers: asked, signal: both })
    if (response.status === 404 || response.status === 403) throw new ParleyError('update-missing', `${url} does not exist (${response.status})`)
    // 416: nothing is left from there on; the hash decides whether it is all.
    if (response.status === 416) return { from, chunks: (async function* () {})() }
    if (!response.ok || !response.body) throw new ParleyError('update-http', `${url} answered ${response.status}`)
    const range = /^bytes (\d+)-/.exec(response.headers.get('content-range') ?? '')
    const start = response.status === 206 && range ? Number(range[1]) : 0
    return { from: start, chunks: watched(response.body, watch) }
  } catch (error) {
    watch.stop()
    throw stalled.signal.aborted ? stalled.signal.reason : error
  }
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
  const parts: Uint8Array[] = []
  let bytes = 0
  for await (const chunk of (await source.open(path, 0, signal)).chunks) {
    bytes += chunk.length
    if (bytes > limit) throw new ParleyError('update-too-long', `${path} from ${source.name} is longer than ${limit} bytes`)
    parts.push(chunk)
  }
  return Buffer.concat(parts)
}

export const sourceFor = (place: string, headers: Readonly<Record<string, string>> = {}): Source =>
  /^https?:\/\//.test(place) ? new HttpSource(place, headers) : new FolderSource(place.replace(/^file:\/\//, ''))
