import { createHash, randomBytes } from 'node:crypto'
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises'
import { createServer, type Server } from 'node:http'
import type { AddressInfo } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import t, { type Test } from 'tap'
import { HttpSource, openUrl } from '../../deploy/update/source.js'
import { realDisk } from '../../deploy/update/real-disk.js'
import { Store } from '../../deploy/update/store.js'

const signal = new AbortController().signal
const content = randomBytes(300_000)
const blob = { sha256: createHash('sha256').update(content).digest('hex'), bytes: content.length }

interface Web extends AsyncDisposable {
  readonly source: HttpSource
  readonly ranges: (string | undefined)[]
}

/** `cutAfter`: bytes after which the connection is torn; `ranges: false`: a server that always sends all. */
async function web(t: Test, of: { body?: Buffer; cutAfter?: number; resumes?: boolean } = {}): Promise<Web> {
  const ranges: (string | undefined)[] = []
  const body = of.body ?? content
  const server: Server = createServer((request, response) => {
    ranges.push(request.headers.range)
    const from = of.resumes === false ? 0 : Number(/bytes=(\d+)-/.exec(request.headers.range ?? '')?.[1] ?? 0)
    if (request.url !== `/blobs/${blob.sha256}`) return void response.writeHead(404).end()
    response.writeHead(from > 0 ? 206 : 200, from > 0 ? { 'content-range': `bytes ${from}-${body.length - 1}/${body.length}` } : {})
    const end = of.cutAfter === undefined ? body.length : Math.min(body.length, from + of.cutAfter)
    response.write(body.subarray(from, end), () => (end < body.length ? response.destroy() : response.end()))
  })
  await new Promise<void>(resolve => server.listen(0, '127.0.0.1', resolve))
  t.teardown(() => void (server.closeAllConnections(), server.close()))
  return { source: new HttpSource(`http://127.0.0.1:${(server.address() as AddressInfo).port}`), ranges, [Symbol.asyncDispose]: async () => {} }
}

async function store(t: Test): Promise<{ store: Store; folder: string }> {
  const folder = await mkdtemp(join(tmpdir(), 'parley-store-'))
  t.teardown(() => rm(folder, { recursive: true, force: true }))
  return { store: new Store(realDisk, folder), folder }
}

t.test('a torn download goes on from where it ended', async t => {
  const { store: s, folder } = await store(t)
  const bad = await web(t, { cutAfter: 100_000 })
  let tries = 0
  while (!(await s.has(blob)) && tries < 10) {
    tries++
    await s.fetch(blob, bad.source, signal).catch(() => {})
  }
  t.ok(await s.has(blob))
  t.ok((await readFile(join(folder, blob.sha256))).equals(content))
  t.ok(bad.ranges.slice(1).every(r => r !== undefined && r !== 'bytes=0-'), 'asked for the rest only')
})

t.test('a server without ranges is used from the beginning', async t => {
  const { store: s, folder } = await store(t)
  await writeFile(join(folder, `${blob.sha256}.part`), content.subarray(0, 5_000))
  await s.fetch(blob, (await web(t, { resumes: false })).source, signal)
  t.ok(await s.has(blob))
})

t.test('zeros that a power cut left in a part are noticed, and it is fetched once more', async t => {
  const { store: s, folder } = await store(t)
  await writeFile(join(folder, `${blob.sha256}.part`), Buffer.alloc(50_000))
  await s.fetch(blob, (await web(t)).source, signal)
  t.ok(await s.has(blob))
})

t.test('a changed blob is refused, and nothing of it stays', async t => {
  const { store: s, folder } = await store(t)
  const changed = Buffer.from(content)
  changed[7] = (changed[7] ?? 0) ^ 1
  await t.rejects(s.fetch(blob, (await web(t, { body: changed })).source, signal), { code: 'update-tampered' })
  t.same(await realDisk.list(folder), [])
})

t.test('a blob that goes on and on is cut off and refused', async t => {
  const { store: s } = await store(t)
  await t.rejects(s.fetch(blob, (await web(t, { body: Buffer.concat([content, randomBytes(500_000)]) })).source, signal), { code: 'update-tampered' })
})

t.test('what the store has is not asked for again', async t => {
  const { store: s } = await store(t)
  const server = await web(t)
  await s.fetch(blob, server.source, signal)
  await s.fetch(blob, server.source, signal)
  t.equal(server.ranges.length, 1)
})

t.test('a server that says nothing any more ends the try', async t => {
  const server = createServer((_, response) => void response.writeHead(200).write('x'))
  await new Promise<void>(resolve => server.listen(0, '127.0.0.1', resolve))
  t.teardown(() => void (server.closeAllConnections(), server.close()))
  const url = `http://127.0.0.1:${(server.address() as AddressInfo).port}/x`
  await t.rejects(async () => {
    for await (const _ of (await openUrl(url, 0, {}, signal, 300)).chunks);
  })
})
