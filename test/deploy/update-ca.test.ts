import { createHash, randomBytes } from 'node:crypto'
import { readFile, writeFile } from 'node:fs/promises'
import { createServer as createPlain, type RequestListener } from 'node:http'
import { createServer } from 'node:https'
import type { AddressInfo } from 'node:net'
import { join } from 'node:path'
import t, { type Test } from 'tap'
import { describe } from '../../base/errors.js'
import { Hawkbit } from '../../deploy/fleet/hawkbit.js'
import { realDisk } from '../../deploy/update/real-disk.js'
import { FolderSource, HttpSource, fetchSmall, openUrl, sourceFor } from '../../deploy/update/source.js'
import { Store } from '../../deploy/update/store.js'
import { Authority } from '../rig/authority.js'
import { DeviceAndVendor } from './device.js'

t.setTimeout(60_000)
const { signal } = new AbortController()
const authority = await Authority.create()
t.teardown(() => authority[Symbol.asyncDispose]())
const { cert, key } = await authority.issue('updates.example.com')
const { ca } = authority
const stranger = await Authority.create()
t.teardown(() => stranger[Symbol.asyncDispose]())

/** A server with a certificate of `authority`, or without one; gives its address. */
async function serve(t: Test, answer: RequestListener, tls: { cert: string; key: string } | false = { cert, key }): Promise<string> {
  const server = tls ? createServer({ cert: await readFile(tls.cert), key: await readFile(tls.key) }, answer) : createPlain(answer)
  await new Promise<void>(resolve => server.listen(0, '127.0.0.1', resolve))
  t.teardown(() => void (server.closeAllConnections(), server.close()))
  return `${tls ? 'https' : 'http'}://127.0.0.1:${(server.address() as AddressInfo).port}`
}

async function messageOf(work: Promise<unknown>): Promise<string> {
  return work.then(() => 'no error', describe)
}

const files = (folder: string): RequestListener => async (request, response) => {
  const bytes = await readFile(join(folder, decodeURIComponent(request.url ?? ''))).catch(() => undefined)
  response.writeHead(bytes ? 200 : 404).end(bytes)
}

t.test('what an authority of one\'s own vouches for is fetched with `ca`, and refused without it', async t => {
  const url = await serve(t, (_, response) => void response.end('{"signed":{}}'))
  t.equal((await fetchSmall(sourceFor(url, { ca }), 'metadata/timestamp.json', 100, signal)).toString(), '{"signed":{}}')
  const without = fetchSmall(sourceFor(url), 'metadata/timestamp.json', 100, signal)
  await t.rejects(without, { code: 'update-untrusted', hint: /\[update\] ca/ })
  const other = fetchSmall(sourceFor(url, { ca: stranger.ca }), 'metadata/timestamp.json', 100, signal)
  await t.rejects(other, { code: 'update-untrusted' })
  t.match(await messageOf(other), stranger.ca, 'it says which file it looked at')
})

t.test('a certificate that ended, or is for another name, is told as that', async t => {
  const ended = await serve(t, (_, response) => void response.end('x'), await authority.issue('ended', { expired: true }))
  await t.rejects(fetchSmall(sourceFor(ended, { ca }), 'x', 9, signal), { code: 'update-untrusted', hint: /clock/ })
  const url = await serve(t, (_, response) => void response.end('x'))
  const elsewhere = url.replace('127.0.0.1', '127.0.0.2')
  const listening = createServer({ cert: await readFile(cert), key: await readFile(key) })
  await new Promise<void>(resolve => listening.listen(Number(new URL(url).port), '127.0.0.2', resolve))
  t.teardown(() => void (listening.closeAllConnections(), listening.close()))
  await t.rejects(fetchSmall(sourceFor(elsewhere, { ca }), 'x', 9, signal), { code: 'update-untrusted', message: /another name/ })
})

t.test('a torn download over TLS goes on from where it ended', async t => {
  const content = randomBytes(300_000)
  const blob = { sha256: createHash('sha256').update(content).digest('hex'), bytes: content.length }
  const ranges: (string | undefined)[] = []
  const url = await serve(t, (request, response) => {
    ranges.push(request.headers.range)
    const from = Number(/bytes=(\d+)-/.exec(request.headers.range ?? '')?.[1] ?? 0)
    response.writeHead(from > 0 ? 206 : 200, from > 0 ? { 'content-range': `bytes ${from}-${content.length - 1}/${content.length}` } : { 'content-length': content.length })
    const end = Math.min(content.length, from + 100_000)
    response.write(content.subarray(from, end), () => (end < content.length ? response.destroy() : response.end()))
  })
  const folder = t.testdir()
  const store = new Store(realDisk, folder)
  const tries: string[] = []
  while (!(await store.has(blob)) && tries.length < 10) tries.push(await messageOf(store.fetch(blob, new HttpSource(url, { ca }), signal)))
  t.ok((await readFile(join(folder, blob.sha256))).equals(content))
  t.match(tries[0], /broke off/)
  t.ok(ranges.length > 1 && ranges.slice(1).every(r => r !== undefined && r !== 'bytes=0-'), `asked for the rest only: ${ranges.join(' ')}`)
})

t.test('a redirect is followed with its range; another server gets no token, the same one does', async t => {
  const seen: { path: string | undefined; token: string | undefined; range: string | undefined }[] = []
  const note: RequestListener = (request, response) => {
    seen.push({ path: request.url, token: request.headers.authorization, range: request.headers.range })
    response.end('mirrored')
  }
  const mirror = await serve(t, note)
  const url = await serve(t, (request, response) => {
    if (request.url === '/moved') return note(request, response)
    response.writeHead(302, { location: request.url === '/here' ? '/moved' : `${mirror}/there` }).end()
  })
  const headers = { Authorization: 'TargetToken secret' }
  for await (const _ of (await openUrl(`${url}/away`, 5, { ca, headers }, signal)).chunks);
  for await (const _ of (await openUrl(`${url}/here`, 0, { ca, headers }, signal)).chunks);
  t.same(seen, [{ path: '/there', token: undefined, range: 'bytes=5-' }, { path: '/moved', token: 'TargetToken secret', range: undefined }])
})

t.test('a redirect out of TLS, in a circle, or to no address is refused', async t => {
  let asked = 0
  const open = await serve(t, (_, response) => void (asked++, response.end('x')), false)
  let circles = 0
  const url = await serve(t, (request, response) => {
    if (request.url === '/circle') circles++
    response.writeHead(301, { location: { '/open': `${open}/x`, '/circle': '/circle', '/file': 'file:///etc/passwd', '/user': 'https://me:hunter2@127.0.0.1/' }[request.url ?? ''] ?? 'https://' }).end()
  })
  const fetched = (path: string): Promise<Buffer> => fetchSmall(new HttpSource(url, { ca }), path, 100, signal)
  await t.rejects(fetched('open'), { code: 'update-http', message: /not encrypted/ })
  t.equal(asked, 0, 'nothing was asked in the open')
  await t.rejects(fetched('circle'), { code: 'update-http', message: /more than 5 times/ })
  t.equal(circles, 6)
  await t.rejects(fetched('file'), { code: 'update-http', message: /neither http nor https/ })
  await t.rejects(fetched('nowhere'), { code: 'update-http', message: /no address/ })
  const message = await messageOf(fetched('user'))
  t.match(message, /user or a password/)
  t.notMatch(message, 'hunter2')
})

t.test('no error has what a server said, or the query of an address', async t => {
  const url = await serve(t, (request, response) => void response.writeHead(request.url?.startsWith('/json') ? 200 : 500).end('body-hunter2'))
  const failed = await messageOf(openUrl(`${url}/x?signature=query-hunter2`, 0, { ca }, signal))
  const json = await messageOf(new Hawkbit({ url: `${url}/json/controller/v1/dev`, token: 'token-hunter2', ca }).poll(signal))
  t.match(failed, /answered 500/)
  t.match(json, /no JSON/)
  t.notMatch(failed + json, 'hunter2')
})

t.test('a download that is called off ends with the reason, and its connection with it', async t => {
  let closed = false
  const url = await serve(t, (request, response) => {
    request.socket.once('close', () => (closed = true))
    response.writeHead(200).write('x')
  })
  const off = new AbortController()
  const { chunks } = await openUrl(`${url}/x`, 0, { ca }, off.signal)
  const reason = new Error('called off')
  await t.rejects(async () => {
    for await (const _ of chunks) off.abort(reason)
  }, reason)
  for (let n = 0; !closed && n < 100; n++) await new Promise(resolve => setTimeout(resolve, 20))
  t.ok(closed)
})

t.test('a hawkBit server with an authority of its own is asked, told, and gives its files', async t => {
  const device = '/T/controller/v1/dev'
  const told: string[] = []
  const url = await serve(t, async (request, response) => {
    let body = ''
    for await (const chunk of request) body += chunk
    if (request.headers.authorization !== 'TargetToken secret') return void response.writeHead(401).end()
    if (request.method === 'POST') told.push(body)
    const artifacts = [{ filename: 'metadata__timestamp.json', size: 5, _links: { download: { href: `${url}/ts` } } }]
    if (request.url === '/ts') return void response.end('hello')
    response.end(request.method === 'POST' ? '' : JSON.stringify(request.url === device
      ? { config: { polling: { sleep: '00:05:00' } }, _links: { deploymentBase: { href: `${url}${device}/deploymentBase/7` } } }
      : { id: '7', deployment: { download: 'forced', update: 'forced', chunks: [{ name: 'parley', version: '1.2', artifacts }] } }))
  })
  const hawkbit = new Hawkbit({ url: `${url}${device}`, token: 'secret', ca })
  const { action } = await hawkbit.poll(signal)
  if (!action) return t.fail('no action')
  t.equal((await fetchSmall(action.source, 'metadata/timestamp.json', 10, signal)).toString(), 'hello')
  await hawkbit.feedback('7', 'closed', 'success', ['runs 1.2'], signal)
  t.match(told, [/runs 1\.2/])
  await t.rejects(new Hawkbit({ url: `${url}${device}`, token: 'secret' }).poll(signal), { code: 'update-untrusted', hint: /\[update\] ca/ })
})

t.test('a device installs a release from such a server once [update] ca names its authority', async t => {
  const settings = (url: string, more = ''): string => `[update]\nfrom = "${url}"\n${more}quietMinutes = 0\nreserveMegabytes = 0\n`
  const d = await DeviceAndVendor.make(t, '')
  const url = await serve(t, files(d.vendor.path('')))
  const next = await d.publish(2)
  const toml = join(d.root, 'etc/parley/parley.toml')
  await writeFile(toml, settings(url))
  t.equal(await d.update(), 0)
  t.equal(await d.current(), d.first)
  t.match(d.lines.join('\n'), /not now: the certificate of https:.*\[update\] ca/)
  await writeFile(toml, settings(url, 'ca = "/etc/parley/vendor.pem"\n'))
  t.equal(await d.update(), 0)
  t.match(d.lines.at(-1), /not now: there is no .*vendor\.pem/)
  await writeFile(join(d.root, 'etc/parley/vendor.pem'), await readFile(ca))
  t.equal(await d.update(), 0)
  t.equal(await d.current(), next, d.lines.join('\n'))
})

t.test('a stick needs no authority', async t => {
  t.ok(sourceFor('/media/stick', { ca: '/nowhere.pem' }) instanceof FolderSource)
})
