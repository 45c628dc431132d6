import { cp, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import t from 'tap'
import { systemClock } from '../../base/clock.js'
import { LocalMachine } from '../../deploy/jetson/machine.js'
import { Runtime } from '../../runtime/compose/runtime.js'
import { topicsOf } from '../../runtime/telemetry/topics.js'
import { Broker } from '../rig/broker.js'
import { Folder, Listener, eventually, silent } from '../telemetry/kit.js'
import { ScriptedModel } from './fakes.js'
import { liveFleet } from './fleet-kit.js'

const ORIN = fileURLToPath(new URL('../../../test/deploy/orin-nano', import.meta.url))
const topics = topicsOf('lab', 'r1')

t.test('a hot Jetson of few watts: the camera rests, the model dozes in a silent room, and the owner hears of the budget and the power mode', { timeout: 90_000 }, async t => {
  await using broker = await Broker.start()
  await using folder = await Folder.make()
  await using owner = await Listener.open(broker.url)
  await cp(ORIN, folder.path, { recursive: true })
  const put = (path: string, text: string): Promise<void> => writeFile(join(folder.path, path), text)
  await put('var/lib/nvpmodel/status', 'pmode:0000')
  await put('sys/class/thermal/thermal_zone0/temp', '98000')
  const raw = {
    microphone: { driver: 'fake', repeat: true, script: [{ ms: 1_000, level: 0.001, noise: true }] }, speaker: { driver: 'null' }, camera: { driver: 'fake' }, bundle: { folder: folder.path },
    telemetry: { site: 'lab', device: 'r1', broker: { url: broker.url }, folder: `${folder.path}/telemetry`, stateS: 1 },
  }
  const { live, fleet: own } = liveFleet(raw, folder.path)
  await using fleet = own
  const model = new ScriptedModel(() => ({}))
  await using runtime = new Runtime({ config: await fleet.load(), log: silent, onEvent: e => fleet.take(e), openModel: async () => model, machine: new LocalMachine(folder.path) })
  await runtime.open()
  live.runtime = runtime
  await eventually('the heat is read', () => runtime.heat.thermal.temperature !== undefined)
  await fleet.start(folder.path)
  t.match(runtime.health().parts.find(p => p.detail?.startsWith('rests')), { ok: true }, 'the camera rests')
  const state = await owner.until(h => h.topic === topics.state && h.payload.includes('"tick_budget"'), 'a state with the budget')
  t.match(JSON.parse(state.payload.toString()), { tick_budget: 50, power_mode: '15W', temperature: 98, parts: { heat: { ok: true, counters: { budgetMs: 50, throttled: 0 } } } })

  // Ten seconds in which nothing is said, then one tick in five.
  await eventually('ten silent seconds are over', () => model.ticks.length >= 127, 40_000)
  const began = model.ticks.length
  await systemClock.sleep(3_200)
  const stepped = model.ticks.length - began
  t.ok(stepped > 0 && stepped <= 14, `${stepped} of some 40 ticks were stepped`)
})
