import t from 'tap'
import { join } from 'node:path'
import type { Host, Microphone } from '../../drivers/contract.js'
import { withTimeout } from '../../base/abort.js'
import { systemClock } from '../../base/clock.js'
import type { AudioFrame } from '../../base/frames.js'
import { writeWav } from '../../base/wav.js'
import * as alsa from '../../drivers/microphone/alsa.js'
import * as fake from '../../drivers/microphone/fake.js'
import * as pulse from '../../drivers/microphone/pulse.js'
import * as wav from '../../drivers/microphone/wav.js'
import { drivers } from '../../drivers/table.js'
import { SoundServer } from '../../drivers/room/sound-server.js'
import { children, leftOf, openBelow, quantile, sleep, testHost, tone } from './host.js'

const server = await SoundServer.start()
server.useHere()
t.teardown(() => server[Symbol.asyncDispose]())
const folder = t.testdir()
const path = join(folder, 'in.wav')
await writeWav(path, { rate: 48_000, samples: tone(2_000, { rate: 48_000 }) })

const variants: Record<string, (host: Host) => Promise<Microphone>> = {
  fake: host => fake.open(fake.schema.parse({ driver: 'fake', script: [{ ms: 2_000, tone: 440 }] }), host),
  wav: host => wav.open(wav.schema.parse({ driver: 'wav', path }), host),
  'wav, fast': host => wav.open(wav.schema.parse({ driver: 'wav', path, pace: 'fast' }), host),
  pulse: host => pulse.open(pulse.schema.parse({ driver: 'pulse', device: 'mic' }), host),
  alsa: host => alsa.open(alsa.schema.parse({ driver: 'alsa' }), host),
}

t.same(new Set(Object.keys(variants).map(name => name.split(',')[0])), new Set(Object.keys(drivers.microphone)), 'every row of the table is here')

for (const [name, open] of Object.entries(variants)) {
  t.test(`microphone ${name}: frames of 20 ms in order, stamped at capture; close ends them, twice is once`, async t => {
    const host = testHost()
    const microphone = await open(host)
    t.equal(microphone.kind, 'microphone')
    t.equal(microphone.name, 'microphone')
    t.equal(microphone.rate, 16_000)
    const frames: AudioFrame[] = []
    const late: number[] = []
    const ended = (async () => {
      for await (const frame of microphone.frames()) {
        frames.push(frame)
        late.push(host.clock.now() - frame.at - 20)
      }
    })()
    await sleep(600)
    t.ok(frames.length >= 20, `${frames.length} frames in 600 ms`)
    t.ok(frames.every(f => f.samples.length === 320 && f.rate === 16_000 && f.dropped === 0))
    t.ok(frames.every((f, i) => i === 0 || f.at >= frames[i - 1]!.at), 'stamps never run back')
    const [first, last] = [frames[5]!, frames.at(-1)!]
    t.ok(Math.abs(last.at - first.at - (frames.length - 6) * 20) < 60, 'stamps count the samples')
    // a busy machine holds back one or two, not most of them
    if (!name.includes('fast')) t.ok(quantile(late, 0.8) < 150, `a frame comes ${quantile(late, 0.8).toFixed(0)} ms after its last sample`)
    t.ok(microphone.health().ok)
    if (!name.includes('fast')) t.ok(host.clock.now() - microphone.health().lastProgressAt < 500)
    await microphone[Symbol.asyncDispose]()
    await microphone[Symbol.asyncDispose]()
    await ended
    t.same(await children('record'), [], 'no process is left')
    t.same(await children('parec'), [])
  })
}

for (const [name, open] of Object.entries(variants)) {
  t.test(`microphone ${name}: an abort of the host ends the frames and leaves neither a process nor an open file`, { timeout: 20_000 }, async t => {
    const closing = new AbortController()
    const microphone = await open(testHost(systemClock, closing.signal))
    let frames = 0
    const ended = (async () => {
      for await (const _ of microphone.frames()) if (++frames === 5) closing.abort(new Error('the runtime is closing'))
    })()
    await withTimeout(ended, 10_000, 'the end of the frames')
    t.ok(frames < 90, `${frames} frames: it was not the end of the recording`)
    t.same(await leftOf('record', 'parec'), [], 'no process is left, though nobody closed it')
    t.same(await openBelow(folder), [])
    await microphone[Symbol.asyncDispose]()
  })
}

t.test('a wav microphone ends with its file and its tail, the last frame filled with silence', async t => {
  const short = join(t.testdir(), 'short.wav')
  await writeWav(short, { rate: 16_000, samples: tone(50) })
  const microphone = await wav.open(wav.schema.parse({ driver: 'wav', path: short, pace: 'fast', tailMs: 40 }), testHost())
  const frames: AudioFrame[] = []
  for await (const frame of microphone.frames()) frames.push(frame)
  t.equal(frames.length, 5)
  t.same(frames.map(f => f.at - frames[0]!.at), [0, 20, 40, 60, 80])
  await microphone[Symbol.asyncDispose]()
})

t.test('a consumer that sleeps loses the oldest frames, and the next says how many samples', async t => {
  const microphone = await pulse.open(pulse.schema.parse({ driver: 'pulse', device: 'mic', queueMs: 100 }), testHost())
  const frames = microphone.frames()[Symbol.asyncIterator]()
  await sleep(700)
  const first = (await frames.next()).value as AudioFrame
  t.ok(first.dropped >= 320 * 20, `${first.dropped} samples`)
  t.equal(((await frames.next()).value as AudioFrame).dropped, 0)
  t.equal(microphone.health().counters['overflowed'], first.dropped / 320)
  await microphone[Symbol.asyncDispose]()
})
