import t from 'tap'
import { ManualClock } from '../../base/clock.js'
import { Commands } from '../../runtime/commands/commands.js'
import type { Message } from '../../runtime/telemetry/link/link.js'
import { topicsOf } from '../../runtime/telemetry/topics.js'
import { FakeApi } from './fake-device.js'
import { Folder, eventually, silent } from './kit.js'
import { Wire } from './wire.js'

const topics = topicsOf('lab', 'r1')

/** Says nothing until it is let go, so that what comes meanwhile has to wait. */
class SlowApi extends FakeApi {
  letGo: () => void = () => {}
  readonly #go = new Promise<void>(resolve => { this.letGo = resolve })
  override async say(text: string): Promise<void> {
    await this.#go
    await super.say(text)
  }
}

interface Desk extends AsyncDisposable {
  readonly clock: ManualClock
  readonly api: SlowApi
  ask(name: string, args: object, more?: Partial<Message>): Promise<any>
}

async function desk(): Promise<Desk> {
  const folder = await Folder.make()
  const [clock, wire, api] = [new ManualClock(), new Wire(), new SlowApi()]
  const commands = new Commands({ link: wire, topics, api, folder: folder.path, allowed: ['say', 'stop', 'volume'], clock, log: silent })
  await commands.start()
  let count = 0
  return {
    clock, api,
    ask: async (name, args, more = {}) => {
      const correlationData = Buffer.from(String(count++))
      wire.deliver(`${topics.command}/${name}`, args, clock.now(), { responseTopic: `${topics.reply}/test`, correlationData, ...more })
      const answer = () => wire.published.find(p => p.options.correlationData?.equals(correlationData))
      await eventually(`an answer to ${name}`, () => answer() !== undefined)
      return answer()!.body
    },
    async [Symbol.asyncDispose]() {
      api.letGo()
      await commands.close()
      await folder[Symbol.asyncDispose]()
    },
  }
}

t.test('a command that expires while it waits behind another is answered `expired`, and not carried out', async t => {
  await using at = await desk()
  const first = at.ask('say', { text: 'first' })
  const late = at.ask('volume', { volume: 0.1 }, { expiryS: 2 })
  const patient = at.ask('volume', { volume: 0.2 }, { expiryS: 60 })
  await at.clock.advance(2_000)
  at.api.letGo()
  t.match(await first, { ok: true })
  t.match(await late, { ok: false, error: { code: 'expired', message: /too late/ } })
  t.match(await patient, { ok: true })
  t.same(at.api.did, ['say first', 'volume 0.2'])
})

t.test('the seventeenth command that waits is answered `busy` at once; the sixteen before it are carried out, in order', async t => {
  await using at = await desk()
  const asked = Array.from({ length: 16 }, (_, n) => at.ask('say', { text: String(n) }))
  t.match(await at.ask('say', { text: 'one too many' }), { ok: false, error: { code: 'busy', message: /16 commands wait/, hint: /again/ } })
  t.match(await at.ask('stop', {}), { ok: true }, 'stop waits for nothing')
  at.api.letGo()
  for (const answer of await Promise.all(asked)) t.match(answer, { ok: true })
  t.same(at.api.did, ['stop', ...Array.from({ length: 16 }, (_, n) => `say ${n}`)])
  t.match(await at.ask('say', { text: 'later' }), { ok: true }, 'there is room again')
})

t.test('a command that the broker had kept is answered `retained`, and not carried out', async t => {
  await using at = await desk()
  t.match(await at.ask('volume', { volume: 0.1 }, { retain: true }), { ok: false, error: { code: 'retained', hint: /without the retain flag/ } })
  t.same(at.api.did, [])
})
