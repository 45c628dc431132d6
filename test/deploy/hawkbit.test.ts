import { writeFile } from 'node:fs/promises'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { join } from 'node:path'
import t, { type Test } from 'tap'
import { Hawkbit, artifactName } from '../../deploy/fleet/hawkbit.js'
import { PollPace, sleepMs } from '../../deploy/fleet/poll-pace.js'
import { fetchSmall } from '../../deploy/update/source.js'

const { signal } = new AbortController()

/** Answers as hawkBit's DDI does; `elsewhere`: where a link points, if not here. */
async function server(t: Test, of: { deployment?: object; cancel?: boolean; configData?: boolean; elsewhere?: string; status?: number } = {}) {
  const asked: { method: string; path: string; token: string | undefined; body: unknown }[] = []
  const http = createServer(async (request, response) => {
    let text = ''
    for await (const chunk of request) text += chunk
    asked.push({ method: request.method ?? '', path: request.url ?? '', token: request.headers.authorization, body: text === '' ? undefined : JSON.parse(text) })
    const origin = of.elsewhere ?? url
    const device = '/T/controller/v1/dev'
    const answers: Record<string, unknown> = {
      [`GET ${device}`]: { config: { polling: { sleep: '00:05:00' } }, _links: { ...(of.deployment ? { deploymentBase: { href: `${origin}${device}/deploymentBase/7?c=1` } } : {}), ...(of.cancel ? { cancelAction: { href: `${url}${device}/cancelAction/9` } } : {}), ...(of.configData ? { configData: { href: `${url}${device}/configData` } } : {}) } },
      [`GET ${device}/deploymentBase/7?c=1`]: { id: '7', deployment: { download: 'forced', update: 'forced', chunks: [{ part: 'bApp', name: 'parley', version: '1.5', artifacts: [{ filename: artifactName('metadata/timestamp.json'), size: 5, hashes: {}, _links: { download: { href: `${url}/download/ts` } } }] }], ...of.deployment } },
      [`GET ${device}/cancelAction/9`]: { id: '9', cancelAction: { stopId: '7' } },
    }
    if (request.url === '/download/ts') return void response.end('hello')
    if (of.status) return void response.writeHead(of.status).end()
    const answer = answers[`${request.method} ${request.url}`]
    response.writeHead(answer || request.method !== 'GET' ? 200 : 404, { 'content-type': 'application/hal+json' }).end(answer ? JSON.stringify(answer) : '')
  })
  await new Promise<void>(resolve => http.listen(0, '127.0.0.1', resolve))
  t.teardown(() => void (http.closeAllConnections(), http.close()))
  const url = `http://127.0.0.1:${(http.address() as AddressInfo).port}`
  return { asked, hawkbit: new Hawkbit({ url: `${url}/T/controller/v1/dev`, token: 'secret' }) }
}

t.test('without an action the device only learns when to ask again', async t => {
  const { hawkbit, asked } = await server(t)
  t.same(await hawkbit.poll(signal), { sleepMs: 300_000 })
  t.equal(asked[0]?.token, 'TargetToken secret')
})

t.test('an action is a source of files like any other', async t => {
  const { hawkbit } = await server(t, { deployment: {} })
  const { action } = await hawkbit.poll(signal)
  t.match(action, { id: '7', version: '1.5', mayInstall: true })
  if (!action) return
  t.equal((await fetchSmall(action.source, 'metadata/timestamp.json', 100, signal)).toString(), 'hello')
  await t.rejects(fetchSmall(action.source, 'metadata/2.root.json', 100, signal), { code: 'update-missing' })
})

t.test('outside the server\'s maintenance window it is fetched and not installed', async t => {
  const { hawkbit } = await server(t, { deployment: { maintenanceWindow: 'unavailable' } })
  t.equal((await hawkbit.poll(signal)).action?.mayInstall, false)
})

t.test('attributes are given when they are asked for', async t => {
  const { hawkbit, asked } = await server(t, { configData: true })
  await hawkbit.poll(signal, { arch: 'arm64' })
  t.match(asked.find(a => a.method === 'PUT'), { path: /configData/, body: { mode: 'merge', data: { arch: 'arm64' } } })
})

t.test('a cancelled action is told, and answered', async t => {
  const { hawkbit, asked } = await server(t, { cancel: true })
  t.same(await hawkbit.poll(signal), { sleepMs: 300_000, cancelled: '7' })
  await hawkbit.cancelled('7', true, signal)
  t.match(asked.at(-1), { method: 'POST', path: '/T/controller/v1/dev/cancelAction/7/feedback', body: { status: { execution: 'closed', result: { finished: 'success' } } } })
})

t.test('progress and the end are fed back', async t => {
  const { hawkbit, asked } = await server(t)
  await hawkbit.feedback('7', 'proceeding', 'none', ['downloading'], signal, { cnt: 1, of: 4 })
  await hawkbit.feedback('7', 'closed', 'failure', ['rolled back'], signal)
  t.match(asked[0]?.body, { id: '7', status: { execution: 'proceeding', result: { finished: 'none', progress: { cnt: 1, of: 4 } }, details: ['downloading'] } })
  t.match(asked[1]?.body, { status: { execution: 'closed', result: { finished: 'failure' } } })
})

t.test('the token is not sent to another server', async t => {
  const { hawkbit } = await server(t, { deployment: {}, elsewhere: 'http://127.0.0.1:9' })
  await t.rejects(hawkbit.poll(signal), { code: 'hawkbit', message: /another/ })
})

t.test('a refused token says what to check; a closed action is no error', async t => {
  await t.rejects((await server(t, { status: 401 })).hawkbit.poll(signal), { code: 'hawkbit', hint: /token/ })
  await (await server(t, { status: 410 })).hawkbit.feedback('7', 'closed', 'success', [], signal)
})

t.test('the time between two questions is at least half a minute and at most a day; what cannot be read is five minutes', t => {
  for (const [text, ms] of [['00:00:01', 30_000], ['00:00:30', 30_000], ['12:00:00', 43_200_000], ['99:00:00', 86_400_000], ['', 300_000], ['soon', 300_000], ['-1:00:00', 300_000]] as const) t.equal(sleepMs(text), ms, text)
  t.end()
})

t.test('what was kept and makes no sense does not hold a question back', async t => {
  const path = join(t.testdir(), 'next-poll.json')
  const pace = new PollPace(path, () => ({ boot: 'one', ms: 1_000 }))
  for (const text of ['', 'torn{', '{"boot":"one","atMs":"soon"}', '{"boot":"one","atMs":1e12}', '{"boot":"two","atMs":60000}', '{"boot":"one","atMs":500}']) {
    await writeFile(path, text)
    t.equal(await pace.leftMs(), 0, text)
  }
  await pace.rest(60_000)
  t.equal(await pace.leftMs(), 60_000)
  await new PollPace(join(path, 'no/folder'), () => ({ boot: 'one', ms: 0 })).rest(1) // a disk that refuses is no failure
})
