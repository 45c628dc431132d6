import t from 'tap'
import { join } from 'node:path'
import { ManualClock } from '../../base/clock.js'
import { readWav } from '../../base/wav.js'
import * as wav from '../../drivers/speaker/wav.js'
import { testHost, tone } from './host.js'

const sounding = (samples: Float32Array, fromMs: number, toMs: number): boolean => samples.subarray(fromMs * 16, toMs * 16).every(s => s !== 0)
const silent = (samples: Float32Array, fromMs: number, toMs: number): boolean => samples.subarray(fromMs * 16, toMs * 16).every(s => s === 0)

t.test('the file has the time line of the clock: silence, words, silence, words cut by a flush, silence', async t => {
  const path = join(t.testdir(), 'reply.wav')
  const clock = new ManualClock(5_000)
  const speaker = await wav.open(wav.schema.parse({ driver: 'wav', path }), testHost(clock))
  speaker.startAt(5_000)
  const words = tone(300).fill(0.5)
  const pass = async (ms: number): Promise<void> => {
    for (let at = 0; at < ms; at += 5) {
      await clock.advance(5)
      await new Promise(resolve => setImmediate(resolve))
    }
  }

  await pass(1_000)
  void speaker.write(words) // heard from 1,000 to 1,300
  await pass(1_000)
  t.equal(speaker.flush(), 300)
  void speaker.write(words) // heard from 2,000, cut at 2,100
  await pass(100)
  t.ok(Math.abs(speaker.flush() - 100) < 5.1)
  void speaker.write(words.subarray(0, 1_600)) // right after the flush: heard from 2,100 to 2,200
  await pass(400)
  await speaker[Symbol.asyncDispose]()

  const { samples } = await readWav(path)
  t.equal(samples.length, 2_500 * 16, 'it ends when the speaker is closed')
  t.ok(silent(samples, 0, 1_000) && sounding(samples, 1_006, 1_300) && silent(samples, 1_306, 2_000))
  t.ok(sounding(samples, 2_006, 2_200))
  t.ok(silent(samples, 2_210, 2_500))
})
