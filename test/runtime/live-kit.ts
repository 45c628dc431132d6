import { systemClock } from '../../base/clock.js'
import type { Microphone, Speaker } from '../../drivers/contract.js'
import { Runtime } from '../../runtime/compose/runtime.js'
import type { Model } from '../../runtime/conversation/conversation.js'
import type { ConversationEvent, TurnEvent } from '../../runtime/conversation/events.js'
import { defaults, silentLog } from './fakes.js'

/** Whether it came to hold within `ms`. */
export async function until(holds: () => boolean, ms: number): Promise<boolean> {
  for (const end = performance.now() + ms; !holds() && performance.now() < end;) await systemClock.sleep(10)
  return holds()
}

export interface Talk extends AsyncDisposable {
  readonly events: ConversationEvent[]
  /** Monotonic ms of the events' zero. */
  readonly origin: number
  turns(): TurnEvent[]
}

/** The whole runtime on the given parts, listening. */
export async function openTalk(model: Model, parts: { microphone?: Microphone; speaker?: Speaker; config?: Partial<typeof defaults> }): Promise<Talk> {
  const events: ConversationEvent[] = []
  const { config, ...sound } = parts
  const runtime = new Runtime({ config: { ...defaults, echo: { mode: 'off' }, ...config }, log: silentLog, onEvent: e => events.push(e), openModel: async () => model, ...sound })
  await runtime.open()
  return { events, get origin() { return runtime.conversation.origin }, turns: () => events.filter(e => e.type === 'turn'), [Symbol.asyncDispose]: () => runtime[Symbol.asyncDispose]() }
}
