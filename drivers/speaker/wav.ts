import { z } from 'zod'
import type { Host } from '../contract.js'
import { ParleyError } from '../../base/errors.js'
import { WavWriter } from '../../base/wav-writer.js'
import { PacedSpeaker } from './paced-speaker.js'
import type { Sink } from './sink.js'
import { WavTimeline } from './wav-timeline.js'

export const schema = z.strictObject({
  driver: z.literal('wav'),
  name: z.string().min(1).default('speaker'),
  path: z.string().min(1),
  /** Hz of what is written to it, and of the file. */
  rate: z.number().int().min(8_000).max(192_000).default(16_000),
})
export type Config = z.infer<typeof schema>

class WavSink implements Sink {
  readonly #line: WavTimeline

  constructor(line: WavTimeline) {
    this.#line = line
  }

  send(samples: Float32Array, startsAt: number): void {
    if (this.#line.failure) throw new ParleyError('device-lost', 'the file can no longer be written', this.#line.failure)
    this.#line.add({ startsAt, samples })
    this.#line.commit(startsAt - 80) // sent at most 80 ms early: all before that has sounded
  }

  silence(now: number): void {
    this.#line.cut(now)
  }

  restart(): void {}

  counters(): Record<string, number> {
    return { failures: this.#line.failure ? 1 : 0 }
  }

  close(now: number): Promise<void> {
    return this.#line.finish(now)
  }
}

export class WavSpeaker extends PacedSpeaker {
  readonly #line: WavTimeline

  constructor(config: Config, host: Host, writer: WavWriter) {
    const line = new WavTimeline(writer, host.clock.now())
    super(config.name, config.rate, new WavSink(line), host)
    this.#line = line
  }

  /** Puts the file on the input's time line: monotonic ms `at` (of the first microphone frame) becomes its time zero. */
  startAt(at: number): void {
    this.#line.startAt(at)
  }
}

/** Writes what was heard, with silence in between, so that the file lies beside the input's. The file appears when the speaker is closed. */
export async function open(config: Config, host: Host): Promise<WavSpeaker> {
  return new WavSpeaker(config, host, await WavWriter.open(config.path, config.rate))
}
