import t from 'tap'
import { join } from 'node:path'
import { systemClock } from '../../base/clock.js'
import type { Host, Speaker } from '../../drivers/contract.js'
import * as fake from '../../drivers/speaker/fake.js'
import * as nothing from '../../drivers/speaker/null.js'
import * as pipe from '../../drivers/speaker/pipe.js'
import * as card from '../../drivers/speaker/speaker.js'
import * as wav from '../../drivers/speaker/wav.js'
import { drivers } from '../../drivers/table.js'
import { SoundServer } from '../../drivers/room/sound-server.js'
import { children, leftOf, openBelow, sleep, testHost, tone } from './host.js'

const server = await SoundServer.start({ loopback: false })
server.useHere()
t.teardown(() => server[Symbol.asyncDispose]())
const folder = t.testdir()
const path = join(folder, 'out.wav')

const variants: Record<string, (host: Host) => Promise<Speaker>> = {
  null: host => nothing.open(nothing.schema.parse({ driver: 'null' }), host),
  wav: host => wav.open(wav.schema.parse({ driver: 'wav', path }), host),
  fake: host => fake.open(fake.schema.parse({ driver: 'fake' }), host),
  speaker: host => card.open(card.schema.parse({ driver: 'speaker' }), host),
  'speaker, 48 kHz stereo': host => card.open(card.schema.parse({ driver: 'speaker', rate: 48_000, channels: 2 }), host),
  'pipe, pacat': host => pipe.open(pipe.schema.parse({ driver: 'pipe', device: 'spk' }), host),
  'pipe, aplay': host => pipe.open(pipe.schema.parse({ driver: 'pipe', program: 'aplay' }), host),
}

t.same(new Set(Object.keys(variants).map(name => name.split(',')[0])), new Set(Object.keys(drivers.speaker)), 'every row of the table is here')

for (const [name, open] of Object.entries(variants)) {
  t.test(`speaker ${name}: paces, says what was heard once, and lets go`, async t => {
    const host = testHost()
    const speaker = await open(host)
    const sound = tone(600, { rate: speaker.rate })

    const began = host.clock.now()
    let most = 0
    const watch = setInterval(() => { most = Math.max(most, speaker.queuedMs()) }, 3)
    await speaker.write(sound)
    const wrote = host.clock.now() - began
    t.ok(wrote > 350 && wrote < 2_000, `600 ms are written in ${wrote.toFixed(0)} ms: the window is 200 ms`)
    await speaker.drain()
    const drained = host.clock.now() - began
    clearInterval(watch)
    t.ok(most <= 201, `at most ${most.toFixed(0)} ms are queued`)
    t.ok(drained > 590 && drained < 2_000, `and heard in ${drained.toFixed(0)} ms`)
    t.ok(Math.abs(speaker.heardMs() - 600) < 0.5)
    t.equal(speaker.queuedMs(), 0)
    t.ok(Math.abs(speaker.flush() - 600) < 0.5)
    t.equal(speaker.flush(), 0, 'heard is reported once')

    const againAt = host.clock.now()
    const writing = speaker.write(sound)
    const draining = sleep(1).then(() => speaker.drain())
    await sleep(250)
    const passed = host.clock.now() - againAt // more than was asked for, on a busy machine
    const heard = speaker.flush()
    t.ok(heard > Math.min(600, passed) - 100 && heard < passed + 5, `${heard.toFixed(0)} ms heard of ${passed.toFixed(0)}`)
    t.equal(speaker.queuedMs(), 0)
    t.equal(speaker.heardMs(), 0)
    await Promise.all([writing, draining]) // neither hangs

    const stop = new AbortController()
    const aborted = t.rejects(speaker.write(sound, stop.signal), /enough/)
    await sleep(50)
    stop.abort(new Error('enough'))
    await aborted
    await speaker.write(sound.subarray(0, 100)) // the next writer is not harmed

    t.ok(speaker.health().ok)
    await speaker[Symbol.asyncDispose]()
    await speaker[Symbol.asyncDispose]()
    await t.rejects(speaker.write(sound), { code: 'closed' })
    t.same([...(await children('pacat --playback')), ...(await children('aplay')), ...(await children('child.js'))], [])
  })
}

for (const [name, open] of Object.entries(variants)) {
  t.test(`speaker ${name}: an abort of the host silences it and leaves neither a process nor an open file; what was heard is still told, once`, { timeout: 20_000 }, async t => {
    const closing = new AbortController()
    const host = testHost(systemClock, closing.signal)
    const speaker = await open(host)
    const cuts: number[] = []
    speaker.tap({ played: () => {}, cut: at => void cuts.push(at) })
    const began = host.clock.now()
    const writing = speaker.write(tone(2_000, { rate: speaker.rate }))
    await sleep(250)
    const draining = speaker.drain()
    closing.abort(new Error('the runtime is closing'))
    const passed = host.clock.now() - began
    await Promise.allSettled([writing, draining]) // neither hangs
    t.same(await leftOf('pacat --playback', 'aplay', 'child.js'), [], 'no process is left, though nobody closed it')
    t.same(await openBelow(folder), [])
    t.ok(cuts.length > 0, 'the echo gate is told that it is silent')
    await t.rejects(speaker.write(tone(20, { rate: speaker.rate })), { code: 'closed' })
    await sleep(150)
    const heard = speaker.flush()
    t.ok(heard > Math.min(2_000, passed) - 150 && heard < passed + 5, `${heard.toFixed(0)} ms heard of ${passed.toFixed(0)}: it sounded no longer`)
    t.equal(speaker.flush(), 0)
    await speaker[Symbol.asyncDispose]()
  })
}

t.test('a rate or a channel count that would abort the package never reaches it', async t => {
  for (const config of [{ rate: '16000' }, { rate: 0 }, { rate: NaN }, { channels: 3 }, { device: '-x; rm' }]) {
    t.equal(card.schema.safeParse({ driver: 'speaker', ...config }).success, false)
  }
  t.throws(() => new card.ForkedSink({ rate: 1.5, channels: 1 }, testHost()), RangeError)
})

t.test('a sound card that cannot be opened is told, though the package aborts its process', async t => {
  await t.rejects(card.open(card.schema.parse({ driver: 'speaker', device: 'plughw:CARD=Missing' }), testHost()), { code: 'device-missing' })
  t.same(await children('child.js'), [])
})
