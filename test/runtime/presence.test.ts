import t from 'tap'
import { systemClock } from '../../base/clock.js'
import { PacedMicrophone } from '../../runtime/demo/paced-microphone.js'
import { HostileSpeaker, ScriptedModel, defaults, type Script } from './fakes.js'
import { openTalk, until } from './live-kit.js'

t.setTimeout(40_000)

/** Somebody stands there from 0.2 s on, and after `waitMs` that is long. */
async function told(script: Script, untilMs: number, waitMs: number): Promise<string[]> {
  const camera = { driver: 'fake', fps: 25, people: [[200, untilMs]], presence: { arriveMs: 100, leaveMs: 300, waitMs } }
  const model = new ScriptedModel(script)
  await using _talk = await openTalk(model, { microphone: new PacedMicrophone(systemClock), speaker: new HostileSpeaker(systemClock), config: { camera } as unknown as Partial<typeof defaults> })
  await until(() => model.told.includes('person left'), untilMs + 5_000)
  return model.told
}

t.test('who comes, who waits for an answer that nobody gives, and who leaves reaches the model on its text channel', async t => {
  t.same(await told(() => ({}), 12_000, 11_000), ['person arrived', 'person waiting', 'person left'])
})

t.test('who is being talked with is not told to be waiting', async t => {
  const talking: Script = index => (index === 2 ? { mark: 'begin', text: ' hello' } : index === 20 ? { mark: 'end' } : index > 2 && index < 20 ? { text: ' and' } : {})
  t.same(await told(talking, 3_000, 1_000), ['person arrived', 'person left'])
})
