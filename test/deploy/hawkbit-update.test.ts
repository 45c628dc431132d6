import { createReadStream } from 'node:fs'
import { chmod, readFile, readdir, stat, writeFile } from 'node:fs/promises'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { join } from 'node:path'
import t, { type Test } from 'tap'
import { artifactName } from '../../deploy/fleet/hawkbit.js'
import { DeviceAndVendor } from './device.js'

t.setTimeout(60_000)
const DEVICE = '/T/controller/v1/dev'

/** hawkBit with one action, whose files are the vendor's repository. */
class Server {
  readonly feedback: { execution: string; finished: string; details: string[] }[] = []
  readonly cancels: string[] = []
  action = true
  cancel = false
  mayInstall = true
  /** How often it was asked whether there is something to do. */
  polls = 0
  sleep = '00:05:00'

  async open(t: Test, folder: () => string): Promise<string> {
    const http = createServer(async (request, response) => {
      let body = ''
      for await (const chunk of request) body += chunk
      const path = request.url ?? ''
      const json = (value: unknown): void => void response.writeHead(200, { 'content-type': 'application/hal+json' }).end(JSON.stringify(value))
      if (request.headers.authorization !== 'TargetToken secret') return void response.writeHead(401).end()
      if (request.method === 'POST' && path === `${DEVICE}/deploymentBase/7/feedback`) {
        const { status } = JSON.parse(body) as { status: { execution: string; result: { finished: string }; details: string[] } }
        this.feedback.push({ execution: status.execution, finished: status.result.finished, details: status.details })
        if (status.execution === 'closed') this.action = false
        return json({})
      }
      if (request.method === 'POST') {
        this.cancels.push((JSON.parse(body) as { status: { execution: string } }).status.execution)
        this.cancel = false
        return json({})
      }
      if (path === DEVICE) this.polls++
      if (path === DEVICE) return json({ config: { polling: { sleep: this.sleep } }, _links: this.cancel ? { cancelAction: { href: `${url}${DEVICE}/cancelAction/8` } } : this.action ? { deploymentBase: { href: `${url}${DEVICE}/deploymentBase/7` } } : {} })
      if (path === `${DEVICE}/cancelAction/8`) return json({ id: '8', cancelAction: { stopId: '7' } })
      if (path.startsWith('/file/')) return void createReadStream(join(folder(), decodeURIComponent(path.slice('/file/'.length)).replaceAll('__', '/'))).pipe(response)
      const names = (await readdir(folder(), { recursive: true, withFileTypes: true })).filter(e => e.isFile()).map(e => join(e.parentPath, e.name).slice(folder().length).replace(/^\//, ''))
      const artifacts = await Promise.all(names.map(async name => ({ filename: artifactName(name), size: (await stat(join(folder(), name))).size, hashes: {}, _links: { download: { href: `${url}/file/${encodeURIComponent(artifactName(name))}` } } })))
      json({ id: '7', deployment: { download: 'forced', update: 'forced', maintenanceWindow: this.mayInstall ? 'available' : 'unavailable', chunks: [{ part: 'bApp', name: 'parley', version: '1.2', artifacts }] } })
    })
    await new Promise<void>(resolve => http.listen(0, '127.0.0.1', resolve))
    t.teardown(() => void (http.closeAllConnections(), http.close()))
    const url = `http://127.0.0.1:${(http.address() as AddressInfo).port}`
    return url
  }
}

async function device(t: Test) {
  const server = new Server()
  let folder = ''
  const url = await server.open(t, () => folder)
  const d = await DeviceAndVendor.make(t, `[update]\nquietMinutes = 0\nreserveMegabytes = 0\n[update.hawkbit]\nurl = "${url}${DEVICE}"\ntokenFile = "/etc/parley/token"\n`)
  folder = d.vendor.path('')
  await writeFile(join(d.root, 'etc/parley/token'), 'secret\n', { mode: 0o600 })
  return { server, d }
}

t.test('an action of the server is installed, and the server hears that it succeeded', async t => {
  const { server, d } = await device(t)
  const next = await d.publish(2)
  t.equal(await d.update(), 0)
  t.equal(await d.current(), next, d.lines.join('\n'))
  t.same(server.feedback.at(-1), { execution: 'closed', finished: 'success', details: ['runs 1.2'] })
})

t.test('a token that others can read is not used, and the updater says what to do', async t => {
  const { d } = await device(t)
  await chmod(join(d.root, 'etc/parley/token'), 0o644)
  await d.publish(2)
  await d.update()
  t.equal(await d.current(), d.first)
  t.match(d.lines.join('\n'), /can be read by others.*chmod 600/)
})

t.test('a release that does not answer is undone, and the server hears why', async t => {
  const { server, d } = await device(t)
  await d.publish(2)
  d.answers = false
  await d.update()
  t.equal(await d.current(), d.first)
  t.match(server.feedback.at(-1), { execution: 'closed', finished: 'failure', details: [/golden/] })
})

t.test('without the server\'s permission it is fetched and waits; a cancelled action is left', async t => {
  const { server, d } = await device(t)
  await d.publish(2)
  server.mayInstall = false
  await d.update()
  t.match(server.feedback.at(-1), { execution: 'proceeding', details: [/staged: waiting for the server/] })
  t.equal(await d.current(), d.first)
  server.cancel = true
  await d.update()
  t.same(server.cancels, ['closed'])
  t.match(await readFile(join(d.root, 'var/lib/parley-update/journal.json'), 'utf8'), /"idle"/)
})

t.test('what was changed after it was signed is refused, and the server hears that too', async t => {
  const { server, d } = await device(t)
  await d.publish(2)
  const timestamp = d.vendor.path('metadata/timestamp.json')
  await writeFile(timestamp, (await readFile(timestamp, 'utf8')).replace(/"expires": "2\d/, '"expires": "30'))
  t.equal(await d.update(), 1)
  t.match(server.feedback.at(-1), { execution: 'closed', finished: 'failure', details: [/refused/] })
  t.equal(await d.current(), d.first)
})

t.test('without an action nothing is begun, and without the server a device goes on', async t => {
  const { server, d } = await device(t)
  await d.publish(2)
  server.action = false
  await d.update()
  t.equal(d.lines.at(-1), 'idle')
  await writeFile(join(d.root, 'etc/parley/token'), 'wrong')
  t.equal(await d.update('--now'), 0)
  t.match(d.lines.join('\n'), /not now: the hawkBit server refuses this device/)
  t.equal(await d.current(), d.first)
})

t.test('a server with nothing to do is asked again after the time that it names, whatever the clock says; a technician asks at once, and a start of the machine does too', async t => {
  const { server, d } = await device(t)
  let [boot, ms] = ['one', 1_000]
  d.uptime = () => ({ boot, ms })
  server.action = false
  server.sleep = '02:00:00'
  await d.update()
  t.equal(server.polls, 1)
  d.wall = () => Date.now() + 365 * 86_400_000
  ms += 2 * 3_600_000 - 1
  t.equal(await d.update(), 0)
  t.equal(server.polls, 1)
  t.match(d.lines.join('\n'), /asked again in 1 min.*--now/)
  t.equal(d.lines.at(-1), 'idle')
  await d.update('--now')
  t.equal(server.polls, 2)
  ms += 2 * 3_600_000
  await d.update()
  t.equal(server.polls, 3)
  ms = 5
  boot = 'two'
  await d.update()
  t.equal(server.polls, 4)
})

t.test('an action is told of with every run, however seldom the server wants to be asked', async t => {
  const { server, d } = await device(t)
  server.sleep = '23:00:00'
  server.action = false
  await d.update()
  server.action = true
  server.mayInstall = false
  await d.publish(2)
  await d.update()
  t.same(server.feedback, [], 'it has not asked yet')
  await d.update('--now')
  await d.update()
  t.equal(server.feedback.length, 2)
  server.mayInstall = true
  await d.update()
  t.match(server.feedback.at(-1), { execution: 'closed', finished: 'success' })
})

t.test('what waits for the server\'s permission goes on waiting while the server cannot be asked', async t => {
  const { server, d } = await device(t)
  const next = await d.publish(2)
  server.mayInstall = false
  await d.update()
  await writeFile(join(d.root, 'etc/parley/token'), 'wrong')
  await d.update()
  t.equal(await d.current(), d.first)
  t.match(d.lines.at(-1), /staged: waiting for an answer of the hawkBit server/)
  await writeFile(join(d.root, 'etc/parley/token'), 'secret')
  server.mayInstall = true
  await d.update()
  t.equal(await d.current(), next)
})
