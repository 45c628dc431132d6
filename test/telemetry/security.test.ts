import { mkdir, readFile, stat, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import t from 'tap'
import { provision } from '../../runtime/fleet/provision.js'
import { fleetMain } from '../../runtime/fleet/main.js'
import { Authority, type Issued } from '../rig/authority.js'
import { Folder, Listener, eventually, startTelemetry } from './kit.js'
import { secureBroker } from './secure-broker.js'

const as = async (authority: Authority, who: Issued): Promise<{ ca: Buffer; cert: Buffer; key: Buffer; reconnectPeriod: number }> =>
  ({ ca: await readFile(authority.ca), cert: await readFile(who.cert), key: await readFile(who.key), reconnectPeriod: 0 })
/** MQTT 5, 3.4.2.1. */
const NOT_AUTHORIZED = 0x87
const tls = (authority: Authority, url: string, who: Issued): Record<string, unknown> => ({ broker: { url, ca: authority.ca, ...who } })

t.test('a device can neither read nor command another, and an owner can do both', { timeout: 180_000 }, async t => {
  await using authority = await Authority.create()
  const [r1, r2, operator] = [await authority.issue('lab/r1'), await authority.issue('lab/r2'), await authority.issue('operator')]
  await using broker = await secureBroker(authority)
  await using folder = await Folder.make()
  await using device = await startTelemetry(broker, folder.path, tls(authority, broker.url, r1))
  await eventually('connected', () => device.link.connected)
  await using owner = await Listener.open(broker.url, 'parley/v1/#', await as(authority, operator))
  await owner.until(h => h.topic === 'parley/v1/lab/r1/availability', 'the owner sees the device')

  await using thief = await Listener.open(broker.url, 'parley/v1/lab/r2/desired', await as(authority, r2))
  for (const filter of ['#', 'parley/v1/lab/r1/#', 'parley/v1/+/+/state', '$share/x/parley/v1/#']) await thief.client.subscribeAsync(filter, { qos: 1 }).catch(() => {})
  const before = owner.heard.length
  const refusals: unknown[] = []
  const refused = (error: unknown): void => void refusals.push(error)
  for (const topic of ['command/restart', 'desired', 'job', 'state', 'availability', 'turn', 'reply/x']) {
    await thief.publish(`parley/v1/lab/r1/${topic}`, { evil: true }).catch(refused)
  }
  await thief.publish('homeassistant/device/lab/r1/config', {}).catch(refused)
  t.match(refusals, Array(8).fill({ code: NOT_AUTHORIZED }), 'and is told so, each time')
  await thief.publish('parley/v1/lab/r2/state', { own: true })
  await owner.until(h => h.topic === 'parley/v1/lab/r2/state', 'what it says of itself, so that the test proves something')
  await device.sendState()
  await owner.until(h => owner.heard.indexOf(h) >= before && h.topic === 'parley/v1/lab/r1/state', 'the device goes on')
  t.same(thief.heard.filter(h => !h.topic.startsWith('parley/v1/lab/r2/')), [], 'it read nothing of others')
  t.equal(owner.heard.filter(h => h.payload.includes('evil')).length, 0, 'it wrote nothing')
  t.ok(device.registry.get('certificate_days'), 'the device knows how long its certificate lasts')
})

t.test('an expired, a revoked and a foreign certificate are each told by name, and the device tries on', { timeout: 180_000 }, async t => {
  await using authority = await Authority.create()
  await using others = await Authority.create()
  const [expired, revoked] = [await authority.issue('lab/r1', { expired: true }), await authority.issue('lab/r2')]
  const foreign = await others.issue('lab/r3')
  await using broker = await secureBroker(authority, { crl: await authority.crl(revoked) })
  const failure = async (who: Issued, ca = authority.ca): Promise<string> => {
    await using folder = await Folder.make()
    await using device = await startTelemetry(broker, folder.path, { broker: { url: broker.url, ca, ...who } })
    const codes: string[] = []
    device.link.onNews(news => { if (news.what === 'failed') codes.push(news.code) })
    await eventually('two tries', () => codes.length >= 2)
    return codes[0]!
  }
  t.equal(await failure(expired), 'certificate-expired')
  t.equal(await failure(revoked), 'certificate-revoked')
  t.equal(await failure(foreign), 'certificate-unknown')
  t.equal(await failure(foreign, others.ca), 'certificate-unknown', 'and a broker that we do not know')
})

t.test('a claim becomes a certificate once, is deleted, and works only for that', { timeout: 180_000 }, async t => {
  await using authority = await Authority.create()
  const [registrar, claim] = [await authority.issue('registrar'), await authority.issue('claim/c1')]
  await using broker = await secureBroker(authority, {}, ['log_type all'])
  await using folder = await Folder.make()
  const kept = await Promise.all([readFile(claim.cert), readFile(claim.key)])
  const stop = new AbortController()
  const lines: string[] = []
  const argv = ['provision', '--broker', broker.url, '--ca', authority.ca, '--cert', registrar.cert, '--key', registrar.key, '--ca-key', authority.caKey, '--used', join(folder.path, 'used.json'), '--issued', join(folder.path, 'issued')]
  const serving = fleetMain(argv, { out: l => lines.push(l), err: l => lines.push(l), env: {}, signal: stop.signal })
  await eventually('the registrar listens', () => /Received SUBSCRIBE/.test(broker.output))
  const ask = (device: string): Promise<Issued> => provision({ broker: { url: broker.url, ca: authority.ca, ...claim }, claim: 'c1', site: 'lab', device, folder: join(folder.path, device), signal: AbortSignal.timeout(20_000) })
  await using thief = await Listener.open(broker.url, 'parley/provision/claim/c1/answer', await as(authority, claim))
  const refusals: unknown[] = []
  for (const topic of ['parley/v1/claim/c1/state', 'homeassistant/device/claim/c1/config', 'parley/v1/lab/r9/state', 'parley/provision/claim/c2/request']) {
    await thief.publish(topic, { evil: true }).catch((error: unknown) => refusals.push(error))
  }
  t.match(refusals, Array(4).fill({ code: NOT_AUTHORIZED }), 'it cannot pretend to be a device')
  const issued = await ask('r9')
  t.equal((await stat(issued.key)).mode & 0o777, 0o600)
  t.equal(await stat(claim.key).catch(() => 'gone'), 'gone')
  await using device = await startTelemetry(broker, folder.path, { device: 'r9', ...tls(authority, broker.url, issued) })
  await eventually('the new certificate works', () => device.link.connected)

  await writeFile(claim.cert, kept[0])
  await writeFile(claim.key, kept[1], { mode: 0o600 })
  await mkdir(join(folder.path, 'r10'), { recursive: true })
  await t.rejects(ask('r10'), { code: 'provision-refused', message: /used before/ })
  stop.abort()
  t.equal(await serving, 0)
  t.match(lines.join('\n'), /certificate for lab\/r9[\s\S]*refused/)
})
