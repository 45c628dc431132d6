import { readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import t, { type Test } from 'tap'
import { DeviceAndVendor } from './device.js'
import { HawkbitServer, whyNoServer } from './hawkbit-server.js'

// The whole updater against a real Eclipse hawkBit; what a server must not do is in hawkbit-update.test.ts.
const skip = whyNoServer()
t.setTimeout(240_000)

let started: HawkbitServer | undefined
if (!skip) t.before(async () => void (started = await HawkbitServer.start(t)))
const NEVER = { schedule: '0 0 3 1 1 ? 2090', duration: '01:00:00', timezone: '+00:00' }

async function device(t: Test, name: string) {
  if (!started) throw new Error('there is no server')
  const server = started
  await server.addDevice(name, 'secret')
  const d = await DeviceAndVendor.make(t, `[update]\nquietMinutes = 0\nreserveMegabytes = 0\n[update.hawkbit]\nurl = "${server.deviceUrl(name)}"\ntokenFile = "/etc/parley/token"\n`)
  await writeFile(join(d.root, 'etc/parley/token'), 'secret\n', { mode: 0o600 })
  const offer = async (sequence: number): Promise<{ hash: string; set: number }> => ({ hash: await d.publish(sequence), set: await server.upload(d.vendor.path(''), `${name}-${sequence}`) })
  return { server, d, offer }
}

t.test('an assigned release is fetched from a real hawkBit, installed, and its action ends as finished', { skip }, async t => {
  const { server, d, offer } = await device(t, 'kiosk-1')
  const { hash, set } = await offer(2)
  const action = await server.assign('kiosk-1', set)
  t.equal(await d.update(), 0)
  t.equal(await d.current(), hash, d.lines.join('\n'))
  t.match(await server.action('kiosk-1', action), { status: 'finished' })
  t.match((await server.told('kiosk-1', action)).at(-1), { type: 'finished', messages: [/runs kiosk-1-2/] })
  t.match(await server.attributes('kiosk-1'), { arch: process.arch, channel: 'stable' })
  await d.update()
  t.equal(d.lines.at(-1), 'idle')
})

t.test('a release that does not answer is undone, and its action ends as an error with the reason', { skip }, async t => {
  const { server, d, offer } = await device(t, 'kiosk-2')
  const { set } = await offer(2)
  const action = await server.assign('kiosk-2', set)
  d.answers = false
  await d.update()
  t.equal(await d.current(), d.first)
  t.match((await server.told('kiosk-2', action)).at(-1), { type: 'error', messages: [/golden/] })
})

t.test('outside the server\'s maintenance window it is fetched and waits; a cancelled action is left and answered', { skip }, async t => {
  const { server, d, offer } = await device(t, 'kiosk-3')
  const { set } = await offer(2)
  const action = await server.assign('kiosk-3', set, NEVER)
  await d.update()
  t.equal(await d.current(), d.first)
  t.match((await server.told('kiosk-3', action)).at(-1), { type: 'running', messages: [/staged: waiting for the server/] })
  await server.cancel('kiosk-3', action)
  await d.update()
  t.match((await server.told('kiosk-3', action)).at(-1), { type: 'canceled' })
  t.match(await readFile(join(d.root, 'var/lib/parley-update/journal.json'), 'utf8'), /"idle"/)
})

t.test('a newer assignment takes the place of one that waits', { skip }, async t => {
  const { server, d, offer } = await device(t, 'kiosk-4')
  const first = await offer(2)
  await server.assign('kiosk-4', first.set, NEVER)
  await d.update()
  const second = await offer(3)
  const action = await server.assign('kiosk-4', second.set)
  for (let i = 0; i < 4 && (await d.current()) !== second.hash; i++) await d.update()
  t.equal(await d.current(), second.hash, d.lines.join('\n'))
  await d.update()
  t.match(await server.action('kiosk-4', action), { status: 'finished' })
})

t.test('a wrong token changes nothing and says what to check', { skip }, async t => {
  const { d, offer } = await device(t, 'kiosk-5')
  await offer(2)
  await writeFile(join(d.root, 'etc/parley/token'), 'other\n')
  t.equal(await d.update(), 0)
  t.match(d.lines.join('\n'), /not now: the hawkBit server refuses this device/)
  t.equal(await d.current(), d.first)
})
