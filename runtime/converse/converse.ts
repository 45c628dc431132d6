import { systemClock } from '../../base/clock.js'
import { MIC_RATE, type AudioFrame, type Reading } from '../../base/frames.js'
import type { Logger } from '../../base/log.js'
import type { Host, Speaker } from '../../drivers/contract.js'
import { openDriver } from '../../drivers/table.js'
import { Conversation, type ConversationParts, type Model } from '../conversation/conversation.js'
import type { OnEvent } from '../conversation/events.js'
import { Knowledge } from '../conversation/knowledge.js'
import { TickAssembler } from '../conversation/tick-assembler.js'
import { RecordingTime, type Pace } from './virtual-time.js'

export interface ConverseOptions {
  readonly session: Model
  /** A WAV file as the microphone. */
  readonly input?: string
  /** A typed turn, after the readings. */
  readonly text?: string
  /** Where the reply goes, on the input's time line. */
  readonly output?: string
  readonly pace: Pace
  readonly facts: readonly string[]
  readonly readings: readonly Omit<Reading, 'at'>[]
  readonly settings: ConversationParts['settings']
  readonly onEvent: OnEvent
  readonly log: Logger
  readonly signal: AbortSignal
}

/** The model is done when it has given nothing for this long: 2.56 s. */
const QUIET_TICKS = 32
/** It is not waited for longer than this after the end of the input: 60 s. */
const MOST_TICKS = 750
/** The text channel takes one token a tick, and a token is seldom under two letters. */
const TICKS_A_LETTER = 0.5
/** What may still sound or run after the last tick, ms of real time. */
const SETTLE_MS = 20_000
const FRAME = MIC_RATE / 50

/** Holds a conversation with a recording. The ticks are the same whatever the pace, and so are the model's words. */
export async function converse(options: ConverseOptions): Promise<void> {
  const { session, signal } = options
  const time = new RecordingTime(options.pace)
  const host: Host = { clock: time.clock, log: options.log, signal }
  await using speaker = await openSpeaker(options, host)
  await using actuator = await openDriver('actuator', 'log', {}, { ...host, clock: systemClock })
  await using microphone = options.input === undefined ? undefined : await openDriver('microphone', 'wav', { path: options.input, pace: options.pace }, host)
  const knowledge = new Knowledge({ session, clock: time.clock, signal, onTrouble: (code, message) => conversation.report(code, message) })
  for (const { source, value } of options.readings) if (typeof value === 'number') knowledge.measure(source, value)
  await knowledge.learn(options.facts)

  const assembler = new TickAssembler(session.inputRate, session.tickSamples)
  const conversation = new Conversation({ ...options, speaker, actuator, knowledge, clock: time.clock, realClock: systemClock, lossless: true })
  const hear = async (frame: AudioFrame): Promise<void> => {
    if (conversation.started) {
      conversation.hear(frame)
    } else {
      align(speaker, frame.at)
      conversation.hear(frame)
      tell() // on the time line, which begins with this frame, and before its tick
    }
    for (const tick of assembler.push(frame)) {
      await time.until(tick.at + (session.tickSamples * 1000) / session.inputRate, signal)
      if (!signal.aborted) await conversation.tick(tick)
    }
  }
  let endAt = time.clock.now()
  const letters = options.readings.reduce((n, r) => n + `${r.source} ${r.value}`.length, (options.text ?? '').length)
  const tell = (): void => {
    for (const reading of options.readings) conversation.tell(reading)
    if (options.text !== undefined) conversation.type(options.text)
  }

  try {
    for await (const frame of microphone?.frames() ?? []) {
      if (signal.aborted) break
      await hear(frame)
      endAt = frame.at + 20
    }
    // What waits in the text channel is read before the model can be done.
    const least = QUIET_TICKS + Math.ceil(microphone ? 0 : letters * TICKS_A_LETTER)
    const quiet = (frames: number): boolean => frames >= least * 4 && conversation.quietTicks >= least
    for (let frames = 0; !signal.aborted && frames < MOST_TICKS * 4 && !quiet(frames); frames++, endAt += 20) {
      await hear({ at: endAt, rate: MIC_RATE, samples: new Float32Array(FRAME), dropped: 0 })
    }
    conversation.end() // a model that never comes to an end must not keep the time running
    const limit = systemClock.now() + SETTLE_MS
    while (conversation.busy && !signal.aborted && systemClock.now() < limit) {
      await time.until(time.clock.now() + 20, signal)
      if (conversation.tools.running > 0) await systemClock.sleep(2)
    }
  } finally {
    conversation.close()
  }
}

function openSpeaker(options: ConverseOptions, host: Host): Promise<Speaker> {
  const { output, session } = options
  const rate = session.outputRate
  return output === undefined ? openDriver('speaker', 'null', { rate }, host) : openDriver('speaker', 'wav', { path: output, rate }, host)
}

/** Time zero of the reply's file is the input's first sample. */
function align(speaker: Speaker, at: number): void {
  if ('startAt' in speaker && typeof speaker.startAt === 'function') speaker.startAt(at)
}
