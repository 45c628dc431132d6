import t from 'tap'
import * as fake from '../../drivers/speaker/fake.js'
import { sleep, testHost, tone, until } from './host.js'

t.test('a speaker slower than time makes the writer wait, and what it has heard is never ahead of the device', async t => {
  const speaker = await fake.open(fake.schema.parse({ driver: 'fake', takesMs: 30 }), testHost())
  const began = performance.now()
  let ahead = 0
  const watch = setInterval(() => { ahead = Math.max(ahead, speaker.heardMs() - speaker.sink.taken.length * 20) }, 3)
  await speaker.write(tone(600))
  t.ok(performance.now() - began > 550)
  await speaker.drain()
  clearInterval(watch)
  t.ok(performance.now() - began > 850, '30 chunks of 30 ms')
  t.ok(ahead <= 0.001, `${ahead} ms ahead`)
  t.ok(Math.abs(speaker.flush() - 600) < 0.5)
  await speaker[Symbol.asyncDispose]()
})

t.test('a speaker that hangs is restarted after a second, and the rest is heard', async t => {
  const speaker = await fake.open(fake.schema.parse({ driver: 'fake', hangsAfter: 5 }), testHost())
  await speaker.write(tone(400))
  await speaker.drain()
  const heard = speaker.flush()
  t.equal(speaker.health().counters['hangs'], 1)
  t.ok(heard >= 300 && heard <= 340, `${heard} ms heard: four chunks were lost in the hang`)
  await speaker[Symbol.asyncDispose]()
})

t.test('a speaker that hangs on the last chunk of an answer is restarted too, and the answer ends', { timeout: 10_000 }, async t => {
  const speaker = await fake.open(fake.schema.parse({ driver: 'fake', hangsAfter: 1 }), testHost())
  t.teardown(() => speaker[Symbol.asyncDispose]())
  await speaker.write(tone(40))
  await speaker.drain(AbortSignal.timeout(5_000))
  t.equal(speaker.health().counters['hangs'], 1)
  t.equal(speaker.health().counters['lostMs'], 20)
  t.ok(speaker.health().ok)
})

t.test('a flush while it hangs returns at once, and the next words are spoken', async t => {
  const speaker = await fake.open(fake.schema.parse({ driver: 'fake', hangsAfter: 3 }), testHost())
  const writing = speaker.write(tone(400))
  await until('three chunks', 5_000, () => speaker.sink.taken.length === 3)
  await sleep(70)
  const heard = speaker.flush()
  t.ok(heard > 30 && heard <= 60.001, `${heard} ms`)
  await writing
  await speaker.write(tone(100))
  await speaker.drain() // after the restart
  await speaker[Symbol.asyncDispose]()
})

t.test('nothing written before a flush is sent after it, 50 times at any moment', async t => {
  const speaker = await fake.open(fake.schema.parse({ driver: 'fake', takesMs: 3 }), testHost())
  for (let n = 0; n < 50; n++) {
    const mark = (n + 1) / 100
    const began = performance.now()
    const writes = [speaker.write(tone(60).fill(mark)), speaker.write(tone(300).fill(mark))]
    await sleep((n * 7) % 60)
    const before = speaker.sink.taken.length
    const flushed = speaker.flush()
    t.ok(flushed <= performance.now() - began, 'no more than the time that passed')
    await Promise.all(writes)
    await sleep(8)
    t.equal(speaker.sink.taken.slice(before).filter(c => Math.abs(c.samples[0]! - mark) < 1e-6).length, 0)
  }
  await speaker[Symbol.asyncDispose]()
})

t.test('a chunk lost with its process is not heard, and the rest is', async t => {
  const speaker = await fake.open(fake.schema.parse({ driver: 'fake', losesEvery: 5 }), testHost())
  await speaker.write(tone(400))
  await speaker.drain()
  t.ok(Math.abs(speaker.flush() - 320) < 0.5)
  t.equal(speaker.health().counters['lostMs'], 80)
  await speaker[Symbol.asyncDispose]()
})
