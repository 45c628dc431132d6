import { appendFile, readFile, readdir } from 'node:fs/promises'
import { join } from 'node:path'
import t from 'tap'
import { Telling } from '../../runtime/telemetry/source.js'
import { Telemetry } from '../../runtime/telemetry/telemetry.js'
import { Broker } from '../rig/broker.js'
import { DayClock, Folder, Listener, eventually, pumped, settingsFor, silent, turn } from './kit.js'

const EVERY_MS = 60_000
const TURNS = 24 * 3_600_000 / EVERY_MS

t.test('24 hours without a broker and a killed process in the middle: nothing is lost, order and times are kept', { timeout: 180_000 }, async t => {
  await using broker = await Broker.start()
  await using folder = await Folder.make()
  await broker.kill()
  const begun = new DayClock().wall()
  const started: Telemetry[] = []
  t.teardown(() => Promise.all(started.map(telemetry => telemetry.close())))
  let patience = 1 // waits the whole 60 s between its tries
  const start = async (clock: DayClock): Promise<Telling> => {
    const source = new Telling()
    const telemetry = new Telemetry({ settings: settingsFor(broker.url, folder.path, { backfillPerS: 1_000 }), source, clock, log: silent, version: '1', random: () => patience })
    started.push(telemetry)
    await telemetry.start()
    return source
  }
  const talk = async (clock: DayClock, from: number, to: number): Promise<void> => {
    const source = await start(clock)
    for (let n = from; n <= to; n++) {
      source.tell(turn(n))
      await clock.advance(EVERY_MS)
    }
  }
  await talk(new DayClock(), 1, TURNS / 2)
  const newest = async (): Promise<string> => join(folder.path, 'turns', (await readdir(join(folder.path, 'turns'))).filter(n => n.endsWith('.seg')).sort().at(-1)!)
  await eventually('the last write reaches the kernel; then the process is no more', async () => (await readFile(await newest())).includes(`"turn":${TURNS / 2},`))
  await appendFile(await newest(), Buffer.from('PR\x40\x02\x00\x00half a rec')) // it died in a write

  // The clock of the first stands still from here on: nothing of it runs any more.
  const clock = new DayClock(12 * 3_600_000)
  await talk(clock, TURNS / 2 + 1, TURNS)
  await broker.restart()
  t.comment(`${Math.round(performance.now())} ms until the broker is back`)
  patience = 0.001
  await using owner = await Listener.open(broker.url)
  const backfill = 'parley/v1/lab/r1/backfill'
  let seen = 0
  owner.client.on('message', (topic, payload) => { if (topic === backfill && payload.includes('"kind":"turn"')) seen++ })
  await pumped(clock, 'all turns arrive', () => seen, TURNS)
  const turns = owner.json(backfill).filter(r => r['kind'] === 'turn')
  t.same(turns.map(r => r['turn']), Array.from({ length: TURNS }, (_, i) => i + 1), 'each once, in order')
  t.ok(turns.every((r, i) => Math.abs(r['at'] - (begun + i * EVERY_MS)) < EVERY_MS), 'each at the time when it happened')
  t.ok(turns.every(r => r['historical'] === true))
  t.equal(new Set(turns.map(r => r['id'])).size, TURNS)
  const state = owner.json('parley/v1/lab/r1/state').at(-1)
  t.equal(state?.['dropped_turns'], 0)
  t.comment(`${state?.['stored_bytes']} bytes written in the second 12 h`)
})
