import { request as plainRequest, type IncomingMessage } from 'node:http'
import { request as tlsRequest } from 'node:https'
import { ParleyError, systemCode } from '../../base/errors.js'
import { readAuthorities } from './authorities.js'

/** How one is let in, and whom one trusts. */
export interface Access {
  /** An `authorization` among them goes to the first server alone, not to one that it redirects to. */
  readonly headers?: Readonly<Record<string, string>>
  /** PEM file of the authorities that are trusted, in place of the public ones. Read at each request: a new one needs no restart. */
  readonly ca?: string
}

export interface Question extends Access {
  readonly method?: string
  readonly body?: string
  readonly signal: AbortSignal
}

/** One that is not read to its end must be dropped. */
export interface Answer {
  readonly status: number
  readonly headers: IncomingMessage['headers']
  readonly chunks: AsyncIterable<Uint8Array>
  drop(): void
}

/** A file may lie at a mirror, and that one's at a cache; more is a loop. */
const MOST_REDIRECTS = 5

/**
 * HTTP and HTTPS for updates: Node's `fetch` takes no authority of one's own. Rejects with the signal's reason, `update-ca`,
 * `update-untrusted`, `update-unreachable` or `update-http`; no error has a body, a query or a header in it.
 */
export async function ask(url: string, { method = 'GET', body, headers = {}, ca, signal }: Question): Promise<Answer> {
  let at = parsed(url)
  // A range of a compressed body is a range of something else.
  let sent: Readonly<Record<string, string>> = { 'user-agent': 'parley', ...headers, 'accept-encoding': 'identity' }
  for (let redirects = 0; ; redirects++) {
    const response = await send(at, method, sent, body, ca, signal)
    const location = redirection(response, method)
    if (location === undefined) return { status: response.statusCode ?? 0, headers: response.headers, chunks: chunksOf(response, at, signal), drop: () => void response.destroy() }
    response.destroy()
    if (redirects === MOST_REDIRECTS) throw new ParleyError('update-http', `${shown(url)} redirects more than ${MOST_REDIRECTS} times`)
    const to = parsed(location, at)
    if (at.protocol === 'https:' && to.protocol === 'http:') throw new ParleyError('update-http', `${shown(at)} redirects to ${to.origin}, which is not encrypted`)
    if (to.origin !== at.origin) sent = Object.fromEntries(Object.entries(sent).filter(([name]) => name.toLowerCase() !== 'authorization'))
    at = to
  }
}

/** All of them in one; refuses more than `limit` bytes with `update-too-long`. */
export async function collect(chunks: AsyncIterable<Uint8Array>, limit: number, what: string): Promise<Buffer> {
  const parts: Uint8Array[] = []
  let bytes = 0
  for await (const chunk of chunks) {
    bytes += chunk.length
    if (bytes > limit) throw new ParleyError('update-too-long', `${what} is longer than ${limit} bytes`)
    parts.push(chunk)
  }
  return Buffer.concat(parts)
}

/** An address for a message: a query may be a signature that lets anybody in. */
export function shown(url: string | URL): string {
  const { origin, pathname } = new URL(url)
  return `${origin}${pathname}`
}

async function send(url: URL, method: string, headers: Readonly<Record<string, string>>, body: string | undefined, ca: string | undefined, signal: AbortSignal): Promise<IncomingMessage> {
  const tls = url.protocol === 'https:'
  const trusted = tls && ca !== undefined ? { ca: await readAuthorities(ca) } : {}
  signal.throwIfAborted()
  try {
    return await new Promise((resolve, reject) => {
      const request = (tls ? tlsRequest : plainRequest)(url, { method, headers, signal, ...trusted }, resolve)
      request.on('error', reject)
      request.end(body)
    })
  } catch (error) {
    signal.throwIfAborted()
    throw failure(url, error, ca)
  }
}

async function* chunksOf(response: IncomingMessage, url: URL, signal: AbortSignal): AsyncGenerator<Uint8Array> {
  try {
    yield* response as AsyncIterable<Uint8Array>
  } catch (cause) {
    signal.throwIfAborted()
    throw new ParleyError('update-unreachable', `${url.origin} broke off`, { cause })
  }
}

/** What was meant for one address is told to no other, unless the server says that it may be (307, 308). */
function redirection({ statusCode = 0, headers }: IncomingMessage, method: string): string | undefined {
  return (method === 'GET' ? [301, 302, 303, 307, 308] : [307, 308]).includes(statusCode) ? headers.location : undefined
}

function parsed(address: string, base?: URL): URL {
  if (!URL.canParse(address, base?.href)) throw new ParleyError('update-http', base ? `${shown(base)} redirects to what is no address` : 'the address of the update server is none')
  const url = new URL(address, base)
  if (url.protocol !== 'https:' && url.protocol !== 'http:') throw new ParleyError('update-http', `${base ? `${shown(base)} redirects to` : 'the update server is at'} ${url.protocol}, which is neither http nor https`)
  if (url.username !== '' || url.password !== '') throw new ParleyError('update-http', `the address at ${url.host} has a user or a password in it`, { hint: 'Addresses are shown and logged' })
  return url
}

const NOT_TRUSTED = /^(UNABLE_TO_|SELF_SIGNED_CERT|DEPTH_ZERO_SELF_SIGNED|CERT_(UNTRUSTED|REJECTED|SIGNATURE_FAILURE|CHAIN_TOO_LONG)|INVALID_CA|INVALID_PURPOSE)/

function failure(url: URL, error: unknown, ca: string | undefined): ParleyError {
  // Where a name has several addresses there are several reasons; the first is like the others.
  const cause = error instanceof AggregateError ? (error.errors[0] as unknown) : error
  const code = systemCode(cause) ?? ''
  const untrusted = (what: string, hint: string): ParleyError => new ParleyError('update-untrusted', `the certificate of ${url.origin} ${what}`, { hint, cause })
  if (NOT_TRUSTED.test(code)) {
    return untrusted('is of an authority that is not trusted', ca === undefined ? 'Name the PEM file of its authority in [update] ca' : `[update] ca = "${ca}" must have its authority, and the authorities between the two that the server does not send`)
  }
  if (/EXPIRED|NOT_YET_VALID/.test(code)) return untrusted('is not good at this time', 'Is the clock of this device right? Else the server needs a new certificate')
  if (code === 'ERR_TLS_CERT_ALTNAME_INVALID') return untrusted('is for another name', 'Name the server in [update] as its certificate does')
  return new ParleyError('update-unreachable', `${url.origin} cannot be reached`, { cause })
}
