import { chmod } from 'node:fs/promises'
import t from 'tap'
import type { Finding } from '../../base/finding.js'
import { configSchema } from '../../runtime/config/schema.js'
import { brokerChecks } from '../../runtime/doctor/broker-checks.js'
import { runCheck } from '../../runtime/doctor/check.js'
import { Authority, type Issued } from '../rig/authority.js'
import { secureBroker } from '../telemetry/secure-broker.js'

t.setTimeout(60_000)
const DAY_MS = 86_400_000
await using authority = await Authority.create()
const [device, expired] = [await authority.issue('lab/r1'), await authority.issue('lab/r2', { expired: true })]
await using broker = await secureBroker(authority)

async function findings(who: Partial<Issued>, now?: () => number): Promise<Record<string, Finding>> {
  const config = configSchema.parse({ telemetry: { site: 'lab', device: 'r1', broker: { url: broker.url, ca: authority.ca, ...who } } })
  const found = await Promise.all(brokerChecks(config, now).map(runCheck))
  return Object.fromEntries(found.map(f => [f.what, f]))
}

await t.test('a good certificate and a broker that lets us in are well', async t => {
  t.match(await findings(device, () => Date.now() - 10 * DAY_MS), { certificate: { state: 'ok', seen: /lasts (39|40) more days/ }, 'telemetry broker': { state: 'ok' } })
})

await t.test('a certificate that ends within a month is a warning', async t => {
  t.match((await findings(device, () => Date.now() + 5 * DAY_MS))['certificate'], { state: 'warn', mend: /parley provision/ })
})

await t.test('a certificate that has ended fails, and what mends it is told', async t => {
  t.match(await findings(expired), { certificate: { state: 'fail', seen: /ended \d+ days ago/, mend: /parley provision/ }, 'telemetry broker': { state: 'warn', seen: /expired/, mend: /Renew/ } })
})

await t.test('a key that others can read fails, with the chmod', async t => {
  await chmod(device.key, 0o644)
  t.match((await findings(device))['certificate'], { state: 'fail', mend: `chmod 600 ${device.key}` })
  await chmod(device.key, 0o600)
})

await t.test('a key that is not there fails, and what brings one is told', async t => {
  t.match(await findings({ ...device, key: '/nowhere/device.key' }), {
    certificate: { state: 'fail', seen: /there is no \/nowhere/, mend: /parley provision/ }, 'telemetry broker': { state: 'warn', seen: /not tried/, mend: /certificate first/ },
  })
})

await t.test('a broker that does not answer is a warning', async t => {
  await broker.kill()
  t.match((await findings(device))['telemetry broker'], { state: 'warn', seen: /ECONNREFUSED/, mend: /running/ })
})
