import type { ConversationEvent, TurnEvent } from '../conversation/events.js'
import type { DemoTurn } from './script.js'

/** What came of one turn of the script. */
export interface DemoResult {
  readonly said: string
  readonly answer: string
  readonly tools: readonly string[]
  /** End of speech → first sound. */
  readonly firstSoundMs: number | null
  /** The model's own part of it. */
  readonly onsetMs: number | null
  /** The same at the sound server's output, where there is one. */
  readonly soundedMs: number | null
  /** Onset of the interrupting speech → silence. */
  readonly bargeInMs: number | null
  readonly silentMs: number | null
  readonly stepP95: number | null
  /** Holes in its speech: the speaker had run out of sound. */
  readonly gaps: number
  /** What it should have done and did not; empty when it passed. */
  readonly missing: readonly string[]
}

export const NOT_STOPPED = 'to stop the answer before it'

/** Nobody speaks on for longer against a device that does not stop, ms. */
const STOP_LIMIT_MS = 1_000

/** How a reply may not end. */
const BAD_END: Partial<Record<TurnEvent['ended'], string>> = { lost: 'an answer through which the model lives', closed: 'an answer that comes to its end' }

/** `answers`: the replies to it, whole. `before`: the reply that it should have interrupted; what else that did is judged with its own turn. */
export function judge(turn: DemoTurn, answers: readonly TurnEvent[], before: TurnEvent | undefined): string[] {
  const missing: string[] = []
  const words = new Set(answers.flatMap(a => a.text.toLowerCase().split(/[^\p{L}\p{N}']+/u)))
  if (turn.expect.silent && answers.length) missing.push('silence')
  for (const word of turn.expect.words) if (!words.has(word.toLowerCase())) missing.push(`the word "${word}"`)
  const { anyOf, tool } = turn.expect
  const calls = answers.flatMap(a => a.tools)
  const due = calls.filter(c => c.name === tool?.name && same(c.args, tool.args))
  if (anyOf.length && !anyOf.some(word => words.has(word.toLowerCase()))) missing.push(`one of the words ${anyOf.join(', ')}`)
  if (tool && due.length === 0) missing.push(`the call ${callText(tool)}`)
  for (const call of calls) if (!call.ok) missing.push(`the call ${callText(call)} to be carried out`)
  // A robot that also does what nobody asked for has not done what it should.
  for (const call of [...calls.filter(c => !due.includes(c)), ...due.slice(1)]) missing.push(`to leave out the call ${callText(call)}`)
  if (!turn.expect.silent && answers.length === 0) missing.push('an answer')
  else if (!turn.expect.silent && answers.every(a => a.firstSound === null)) missing.push('an answer that sounds')
  for (const { ended } of answers) if (BAD_END[ended] !== undefined) missing.push(BAD_END[ended])
  if (turn.interrupts && before?.ended !== 'cut') missing.push(NOT_STOPPED)
  else if (turn.interrupts && (before?.bargeInMs ?? 0) > STOP_LIMIT_MS) missing.push(`to stop within ${STOP_LIMIT_MS} ms`)
  return missing
}

/** The parts without which there is no talk: an error of theirs fails a demo, whatever the turns were like. */
const VITAL = /^(engine|speaker|microphone)-/

/** What an event says against the demo, if it does. */
export function troubleOf(event: ConversationEvent): string | undefined {
  return event.type === 'error' && VITAL.test(event.code) ? `${event.code}: ${event.message}` : undefined
}

export function callText({ name, args }: { readonly name: string; readonly args: Readonly<Record<string, string | number>> }): string {
  return `${name}(${Object.values(args).join(', ')})`
}

function same(a: Readonly<Record<string, unknown>>, b: Readonly<Record<string, unknown>>): boolean {
  return Object.keys(a).length === Object.keys(b).length && Object.entries(b).every(([key, value]) => String(a[key]) === String(value))
}
