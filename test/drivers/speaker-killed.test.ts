import t from 'tap'
import type { Speaker } from '../../drivers/contract.js'
import * as pipe from '../../drivers/speaker/pipe.js'
import * as card from '../../drivers/speaker/speaker.js'
import { SoundServer } from '../../drivers/room/sound-server.js'
import { quantile, sleep, testHost, tone, until } from './host.js'

const server = await SoundServer.start({ loopback: false })
server.useHere()
t.teardown(() => server[Symbol.asyncDispose]())

type Killable = Speaker & { readonly pid: number | undefined }
const variants: Record<string, () => Promise<Killable>> = {
  speaker: () => card.open(card.schema.parse({ driver: 'speaker' }), testHost()),
  pacat: () => pipe.open(pipe.schema.parse({ driver: 'pipe', device: 'spk' }), testHost()),
}

for (const [name, open] of Object.entries(variants)) {
  t.test(`the process of ${name} is killed 20 times while it speaks, and speaks on each time`, { timeout: 120_000 }, async t => {
    const speaker = await open()
    t.teardown(() => speaker[Symbol.asyncDispose]())
    await using monitor = await server.record('spk.monitor')
    let speaking = true
    t.teardown(() => { speaking = false })
    const writing = (async () => { while (speaking) await speaker.write(tone(80)) })()
    const back: number[] = []
    for (let n = 0; n < 20; n++) {
      await sleep(60 + (n * 31) % 90)
      const pid = await until('the next process', 2_000, () => speaker.pid)
      const killedAt = performance.now()
      process.kill(pid, 'SIGKILL')
      await sleep(30) // what the server still had has sounded
      const soundAt = await until('sound again', 3_000, () => monitor.firstSoundAt(0.02, killedAt + 30))
      back.push(soundAt - killedAt)
    }
    speaking = false
    await writing
    await speaker.drain(AbortSignal.timeout(10_000))
    const heard = speaker.flush()
    t.ok(heard > 0)
    t.equal(speaker.flush(), 0)
    t.equal(speaker.health().counters['crashes'], 20)
    t.comment(`${name}: sound again p50 ${quantile(back, 0.5).toFixed(0)} ms, most ${Math.max(...back).toFixed(0)} ms after the kill; ${speaker.health().counters['lostMs']} ms of speech lost`)
    t.ok(Math.max(...back) < 3_000)
  })
}
