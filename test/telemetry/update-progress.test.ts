import { mkdir, rm, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import t from 'tap'
import { Broker } from '../rig/broker.js'
import { Folder, Listener, startTelemetry } from './kit.js'

t.test('what the updater does, why, and how far it is, reaches the owner', { timeout: 60_000 }, async t => {
  await using broker = await Broker.start()
  await using folder = await Folder.make()
  const before = process.env['PARLEY_ROOT']
  process.env['PARLEY_ROOT'] = folder.path
  t.teardown(() => { if (before === undefined) delete process.env['PARLEY_ROOT']; else process.env['PARLEY_ROOT'] = before })
  await using owner = await Listener.open(broker.url, 'parley/v1/lab/r1/state')
  const run = join(folder.path, 'run/parley-update')
  await mkdir(run, { recursive: true })
  await using telemetry = await startTelemetry(broker, join(folder.path, 'telemetry'), { stateS: 3_600 })
  /** As the updater writes it (deploy/update/main.ts), and what the owner then hears. */
  const heard = async (said: object | undefined): Promise<Record<string, unknown>> => {
    if (said) await writeFile(join(run, 'state.json'), JSON.stringify(said))
    else await rm(run, { recursive: true })
    const count = owner.heard.length
    await telemetry.sendState()
    await owner.until(h => owner.heard.indexOf(h) >= count, 'a state')
    const { update, update_reason, update_done } = JSON.parse(owner.heard.at(-1)!.payload.toString())
    return { update, update_reason, update_done }
  }
  await owner.until(h => h.payload.length > 0, 'the first state')
  t.same(await heard({ state: 'found', done: 30, of: 40 }), { update: 'found', update_reason: undefined, update_done: 75 }, 'a download')
  t.same(await heard({ state: 'verified', reason: 'engine: optimising' }), { update: 'verified', update_reason: 'engine: optimising', update_done: undefined }, 'a first engine: nobody knows how long it takes, and the share of the download is gone')
  t.same(await heard({ state: 'verified', reason: 'engine: optimising', done: 30_000, of: 60_000 }), { update: 'verified', update_reason: 'engine: optimising', update_done: 50 }, 'the next one')
  t.same(await heard({ state: 'idle', reason: 'x'.repeat(500) }), { update: 'idle', update_reason: 'x'.repeat(120), update_done: undefined })
  t.same(await heard(undefined), { update: undefined, update_reason: undefined, update_done: undefined }, 'nothing since the machine started')
})
