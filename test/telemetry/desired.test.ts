import { readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import t from 'tap'
import { merge, paths } from '../../runtime/shadow/merge.js'
import { Broker } from '../rig/broker.js'
import { startDevice, type Fake } from './fake-device.js'
import { Folder, Listener } from './kit.js'

const ROOT = 'parley/v1/lab/r1'

async function want(owner: Listener, payload: unknown, is: (reported: any) => boolean): Promise<any> {
  const before = owner.heard.length
  await owner.publish(`${ROOT}/desired`, payload, { retain: true })
  const found = await owner.until(h => owner.heard.indexOf(h) >= before && h.topic === `${ROOT}/reported` && is(JSON.parse(h.payload.toString())), `reported after ${JSON.stringify(payload).slice(0, 80)}`)
  return JSON.parse(found.payload.toString())
}

t.test('a merge patch merges objects, takes away with null, and cannot reach the prototype', t => {
  t.same(merge({ a: { b: 1, c: 2 }, d: [1] }, { a: { b: null, e: 3 }, d: [2] }), { a: { c: 2, e: 3 }, d: [2] })
  merge({}, JSON.parse('{"__proto__":{"bad":1}}'))
  t.equal(({} as Record<string, unknown>)['bad'], undefined)
  t.same(paths({ a: { b: 1, c: {} }, d: 2 }), ['a.b', 'a.c', 'd'])
  t.end()
})

t.test('what is desired comes in force whole or not at all, and is reported', { timeout: 180_000 }, async t => {
  await using broker = await Broker.start()
  await using folder = await Folder.make()
  await using owner = await Listener.open(broker.url)
  const { device, applied }: Fake = await startDevice(t, broker, folder.path)
  t.teardown(() => device.close())
  await owner.until(h => h.topic === `${ROOT}/reported`, 'the first report')

  const facts = await want(owner, { version: 1, state: { facts: { toilet: 'first floor' }, playout: { volume: 0.4 } } }, r => r.version === 1)
  t.same(facts.inForce, { facts: { toilet: 'first floor' }, playout: { volume: 0.4 } })
  t.match(applied.at(-1), { facts: { name: 'kiosk', toilet: 'first floor' }, playout: { volume: 0.4 } }, 'merged over the file')

  const half = await want(owner, { version: 2, state: { facts: { toilet: 'cellar' }, playout: { volume: 7 } } }, r => r.refused?.version === 2)
  t.match(half, { version: 1, inForce: { facts: { toilet: 'first floor' } }, refused: { reasons: [{ key: 'playout.volume' }] } })
  t.equal(applied.length, 1, 'nothing of it was applied')

  const foreign = await want(owner, { version: 3, state: { secretDoor: 'open' } }, r => r.refused?.version === 3)
  t.match(foreign.refused.reasons, [{ key: 'secretDoor', why: /may not be changed/ }])

  const later = await want(owner, { version: 4, state: { log: { level: 'debug' } } }, r => r.version === 4)
  t.same(later.waitsForRestart, ['log.level'])
  t.notOk(later.refused, 'a good one clears the refusal')

  t.match(await want(owner, { version: 3, state: {} }, r => r.refused?.version === 3 && r.version === 4), { refused: { reasons: [{ why: /not newer/ }] } })
  for (const garbage of ['{{{', '[]', '{"version":9}', '{"version":-1,"state":{}}', Buffer.alloc(70_000, '1'), `{"version":9,"state":${'{"a":'.repeat(50)}1${'}'.repeat(50)}}`]) {
    t.match(await want(owner, garbage, r => r.version === 4 && r.refused !== undefined), { version: 4 })
  }
})

t.test('it is in force again after a restart, before the broker is there', async t => {
  await using broker = await Broker.start()
  await using folder = await Folder.make()
  await using owner = await Listener.open(broker.url)
  const first = await startDevice(t, broker, folder.path)
  await want(owner, { version: 5, state: { facts: { toilet: 'roof' } } }, r => r.version === 5)
  await first.device.close()
  await broker.kill()
  const second = await startDevice(t, broker, folder.path)
  t.equal(second.config.facts['toilet'], 'roof')
  await second.device.close()
})

t.test('one of which the process died is not tried again, and that is reported', async t => {
  await using broker = await Broker.start()
  await using folder = await Folder.make()
  await using owner = await Listener.open(broker.url)
  await writeFile(join(folder.path, 'desired.json'), JSON.stringify({ version: 1, state: { playout: { volume: 0.5 } }, trying: { version: 2, state: { playout: { volume: 0 } } } }))
  const { device, config } = await startDevice(t, broker, folder.path)
  t.equal(config.playout.volume, 0.5)
  const said = await owner.until(h => h.topic === `${ROOT}/reported`, 'the report')
  t.match(JSON.parse(said.payload.toString()), { version: 1, refused: { version: 2, reasons: [{ why: /stopped/ }] } })
  await device.close()
  t.notMatch(await readFile(join(folder.path, 'desired.json'), 'utf8'), /trying/)
})

t.test('one that cannot be applied is taken back', async t => {
  await using broker = await Broker.start()
  await using folder = await Folder.make()
  await using owner = await Listener.open(broker.url)
  const volumes: number[] = []
  const { device } = await startDevice(t, broker, folder.path, {}, {
    apply: async config => {
      volumes.push(config.playout.volume)
      if (config.playout.volume === 0.1) throw new Error('the speaker is gone')
    },
  })
  const report = await want(owner, { version: 1, state: { playout: { volume: 0.1 } } }, r => r.refused?.version === 1)
  t.match(report, { version: 0, inForce: {}, refused: { reasons: [{ why: /speaker is gone/ }] } })
  t.same(volumes, [0.1, 0.8], 'the old one was put back')
  await device.close()
})
