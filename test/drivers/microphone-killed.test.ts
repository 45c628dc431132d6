import t from 'tap'
import type { AudioFrame } from '../../base/frames.js'
import * as alsa from '../../drivers/microphone/alsa.js'
import * as pulse from '../../drivers/microphone/pulse.js'
import { SoundServer } from '../../drivers/room/sound-server.js'
import { quantile, sleep, testHost, until } from './host.js'

const server = await SoundServer.start()
server.useHere()
t.teardown(() => server[Symbol.asyncDispose]())

const variants = {
  pulse: () => pulse.open(pulse.schema.parse({ driver: 'pulse', device: 'mic' }), testHost()),
  alsa: () => alsa.open(alsa.schema.parse({ driver: 'alsa' }), testHost()),
}

for (const [name, open] of Object.entries(variants)) {
  t.test(`the recorder of ${name} is killed 20 times; each time it is back, and the next frame says how much is missing`, async t => {
    const microphone = await open()
    const frames: AudioFrame[] = []
    const ended = (async () => { for await (const frame of microphone.frames()) frames.push(frame) })()
    const back: number[] = []
    for (let n = 0; n < 20; n++) {
      await sleep(60 + (n * 13) % 50)
      const seen = frames.length
      const killedAt = performance.now()
      process.kill(microphone.pid!, 'SIGKILL')
      const next = await until('a frame after the gap', 3_000, () => frames.slice(seen).find(f => f.dropped > 0))
      back.push(performance.now() - killedAt)
      const before = frames[frames.indexOf(next) - 1]!
      t.ok(Math.abs(next.at - before.at - 20 - next.dropped / 16) < 1, 'the gap is the time between the stamps')
    }
    t.equal(microphone.health().counters['lost'], 20)
    t.comment(`${name}: frames again p50 ${quantile(back, 0.5).toFixed(0)} ms, most ${Math.max(...back).toFixed(0)} ms after the kill`)
    await microphone[Symbol.asyncDispose]()
    await ended
  })
}

t.test('a recorder that hangs is noticed after a second, killed and started again', async t => {
  const microphone = await variants.pulse()
  const frames: AudioFrame[] = []
  const ended = (async () => { for await (const frame of microphone.frames()) frames.push(frame) })()
  await until('the first frames', 5_000, () => frames.length > 3)
  const hungAt = performance.now()
  process.kill(microphone.pid!, 'SIGSTOP')
  await until('health to say so', 2_000, () => !microphone.health().ok)
  await until('frames again', 3_000, () => frames.find(f => f.dropped > 0))
  t.comment(`back ${(performance.now() - hungAt).toFixed(0)} ms after it hung`)
  await microphone[Symbol.asyncDispose]()
  await ended
})
