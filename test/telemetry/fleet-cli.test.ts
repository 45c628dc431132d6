import { pino } from 'pino'
import t from 'tap'
import { fleetMain } from '../../runtime/fleet/main.js'
import { watchLine } from '../../runtime/fleet/watch-line.js'
import { Broker } from '../rig/broker.js'
import { startDevice } from './fake-device.js'
import { Folder, Listener, eventually, greeted, turn, wait } from './kit.js'

async function fleet(url: string, argv: readonly string[], signal: AbortSignal = new AbortController().signal, onLine: (line: string) => void = () => {}, env: Record<string, string> = {}): Promise<{ code: number; out: string; err: string }> {
  const [out, err]: [string[], string[]] = [[], []]
  const code = await fleetMain(argv, { out: l => { out.push(l); onLine(l) }, err: l => err.push(l), env: { PARLEY_BROKER: url, ...env }, signal })
  return { code, out: out.join('\n'), err: err.join('\n') }
}

t.test('a person looks after a device: list, say, state, job, watch', { timeout: 180_000 }, async t => {
  await using broker = await Broker.start()
  await using folder = await Folder.make()
  const { device, api, tell } = await startDevice(t, broker, folder.path)
  t.teardown(() => device.close())
  tell(turn(1))
  tell({ type: 'reading', source: 'battery', value: 61 })
  await greeted(device.telemetry)
  await device.telemetry.sendState()
  await eventually('the broker has the state', async () => (await fleet(broker.url, ['list', '--json'])).out.includes('"battery":61'))

  const list = await fleet(broker.url, ['list'])
  t.match(list, { code: 0, out: /SITE.*DEVICE[\s\S]*lab +r1 +online +181 ms +19 ms +1 .*61 %/ })
  t.match(JSON.parse((await fleet(broker.url, ['list', '--json'])).out), [{ site: 'lab', device: 'r1', online: true, state: { battery: 61 } }])

  t.match(await fleet(broker.url, ['say', 'r1', 'good', 'morning']), { code: 0, out: 'r1: done' })
  t.same(api.did.splice(0), ['say good morning'])
  t.match(await fleet(broker.url, ['send', 'lab/r1', 'volume', '{"volume":9}']), { code: 1, err: /invalid/ })

  t.match(await fleet(broker.url, ['state', 'set', 'r1', '{"facts":{"toilet":"first floor"}}']), { code: 0, out: /version 1 is in force/ })
  t.match(await fleet(broker.url, ['state', 'set', 'r1', '{"facts":{"shop":"ground floor"}}']), { code: 0, out: /version 2/ })
  t.match(await fleet(broker.url, ['state', 'set', 'r1', '{"playout":{"volume":3}}']), { code: 1, err: /playout.volume/ })
  const state = await fleet(broker.url, ['state', 'get', 'r1'])
  t.match(state, { code: 0, out: /"toilet": "first floor"[\s\S]*"shop"[\s\S]*refused +version 3/ })

  t.match(await fleet(broker.url, ['job', 'start', 'r1', 'restart', '--id', 'j1']), { code: 0, out: /job j1/ })
  await eventually('the device has the job', async () => (await fleet(broker.url, ['job', 'status', 'r1'])).out.includes('j1'))
  t.match(await fleet(broker.url, ['job', 'status', 'r1']), { code: 0, out: /JOB[\s\S]*j1 +restart +(QUEUED|IN_PROGRESS)/ })

  const stop = new AbortController()
  const seen: string[] = []
  const watching = fleet(broker.url, ['watch', '--json'], stop.signal, line => seen.push(line))
  for (let n = 2; !seen.some(line => line.includes('"what":"turn"')) && n < 200; n++) {
    tell(turn(n))
    await wait(100)
  }
  stop.abort()
  t.equal((await watching).code, 0)
  t.ok(seen.some(line => line.includes('"what":"turn"')), 'a turn is seen as it comes')
})

t.test('a command and a job carry the trace of their sender into the answer, the event and the log of the device', { timeout: 60_000 }, async t => {
  await using broker = await Broker.start()
  await using folder = await Folder.make()
  await using owner = await Listener.open(broker.url, ['parley/v1/lab/r1/event', 'parley/v1/lab/r1/reply/#'])
  const logged: string[] = []
  const log = pino({ base: null }, { write: line => void logged.push(line) })
  const { device } = await startDevice(t, broker, folder.path, {}, { log })
  await greeted(device.telemetry)
  const traced = async (...argv: string[]): Promise<string> => JSON.parse((await fleet(broker.url, [...argv, '--json', '--site', 'lab'], undefined, undefined, { TRACEPARENT: '00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01' })).out).traceparent
  const said = await traced('say', 'r1', 'good', 'morning')
  const job = await traced('job', 'start', 'r1', 'restart')
  for (const trace of [said, job]) t.match(trace, /^00-0af7651916cd43dd8448eb211c80319c-(?!b7ad6b7169203331)[0-9a-f]{16}-01$/, 'a span of its own, in that trace')
  for (const [event, trace] of [['command', said], ['job', job]] as const) {
    await eventually(`the event of the ${event}`, () => owner.json('parley/v1/lab/r1/event').some(e => e['event'] === event && e['traceparent'] === trace))
    t.ok(logged.some(line => line.includes(trace)), `the log of the ${event}`)
  }
  t.equal(owner.heard.find(h => h.topic.includes('/reply/'))?.packet.properties?.userProperties?.['traceparent'], said)
  const own = JSON.parse((await fleet(broker.url, ['say', 'lab/r1', 'x', '--json'])).out).traceparent
  t.match(own, /^00-[0-9a-f]{32}-[0-9a-f]{16}-01$/, 'without one it begins one')
  t.notMatch(own, /0af7651916cd43dd8448eb211c80319c/)
  await device.close()
})

t.test('what it cannot do it says, with an exit code', { timeout: 180_000 }, async t => {
  await using broker = await Broker.start()
  t.match(await fleet(broker.url, []), { code: 2, err: /parley fleet list/ })
  t.match(await fleet(broker.url, ['say']), { code: 2, err: /a device is missing/ })
  t.match(await fleet(broker.url, ['list', '--nonsense']), { code: 2 })
  t.match(await fleet(broker.url, ['list']), { code: 0, out: /no device/ })
  t.match(await fleet(broker.url, ['say', 'nobody', 'x']), { code: 2, err: /no device nobody/ })
  t.match(await fleet(broker.url, ['say', 'lab/nobody', 'x', '--timeout', '0.3']), { code: 1, err: /not answered in 0.3 s/ })
  t.match(await fleet(broker.url, ['say', 'lab/nobody', 'x'.repeat(20_000)]), { code: 2, err: /20\d+ bytes; a device takes 16384/ })
  t.match(await fleet(broker.url, ['state', 'set', 'lab/nobody', JSON.stringify({ facts: { a: 'x'.repeat(70_000) } })]), { code: 2, err: /70\d+ bytes; a device takes 65536/ })
  const watching = fleet(broker.url, ['watch'])
  await wait(300)
  await broker.kill()
  t.match(await watching, { code: 1, err: /connection to the broker was lost/ }, 'a watch that sees nothing any more does not end as if all were well')
  t.match(await fleet(broker.url, ['list']), { code: 1, err: /cannot be reached/ })
})

t.test('what is watched stands on one short line, and no device can move the cursor of who watches', t => {
  const line = (leaf: string, value: object | string): string => watchLine(leaf, Buffer.from(typeof value === 'string' ? value : JSON.stringify(value)))
  t.equal(line('state', { at: 1, problem: false, turns: 3, first_sound: 181.5, memory: 1e9, version: '1', parts: {} }), 'problem=false turns=3 first_sound=181.5 ms')
  t.equal(line('jobs', { jobs: [{ id: 'a' }, { id: 'night-2', kind: 'dance', state: 'REJECTED', reason: 'unknown-kind: there is no job dance' }] }), 'night-2 dance REJECTED (unknown-kind: there is no job dance)')
  t.equal(line('reported', { version: 1, inForce: {}, refused: { version: 2, reasons: [{ key: 'playout.volume', why: 'Too big' }] }, waitsForRestart: ['health'] }), 'version=1 refused=2 (playout.volume Too big) after a restart: health')
  t.equal(line('turn', { id: 'x', turn: 1, firstSoundMs: 181, steps: { p50: 1 } }), 'turn=1 firstSoundMs=181')
  for (const leaf of ['availability', 'state', 'jobs', 'event']) t.notMatch(line(leaf, leaf === 'availability' ? '\x1b[2J' : { '\x1b[2J': '\x1b[2J', battery: '\x1b[2J', jobs: [{ id: '\x1b[2J' }] }), /\x1b/)
  t.end()
})
