import t from 'tap'
import type { AudioFrame } from '../../base/frames.js'
import * as alsa from '../../drivers/microphone/alsa.js'
import * as pulse from '../../drivers/microphone/pulse.js'
import * as card from '../../drivers/speaker/speaker.js'
import { SoundServer } from '../../drivers/room/sound-server.js'
import { peak, quantile, sleep, testHost, tone } from './host.js'

const server = await SoundServer.start({ loopback: false })
server.useHere()
t.teardown(() => server[Symbol.asyncDispose]())
await server.pactl('load-module', 'module-remap-source', 'source_name=ear', 'master=spk.monitor')

for (const name of ['pulse', 'alsa'] as const) {
  t.test(`${name}: a sound is in Node soon after it was written, and its stamp says when it sounded`, async t => {
    process.env['PULSE_SOURCE'] = 'ear'
    const host = testHost()
    const microphone = name === 'pulse' ? await pulse.open(pulse.schema.parse({ driver: 'pulse', device: 'ear' }), host) : await alsa.open(alsa.schema.parse({ driver: 'alsa' }), host)
    const speaker = await card.open(card.schema.parse({ driver: 'speaker' }), host)
    const frames: { readonly frame: AudioFrame; readonly arrivedAt: number }[] = []
    const ended = (async () => { for await (const frame of microphone.frames()) frames.push({ frame, arrivedAt: host.clock.now() }) })()
    await sleep(300)
    const arrived: number[] = []
    const stamped: number[] = []
    for (let n = 0; n < 12; n++) {
      const wroteAt = host.clock.now()
      const seen = frames.length
      await speaker.write(tone(60))
      await speaker.drain()
      await sleep(90 + n * 3)
      const first = frames.slice(seen).find(f => peak(f.frame.samples) > 0.05)
      if (!first) continue
      arrived.push(first.arrivedAt - wroteAt)
      stamped.push(first.frame.at + first.frame.samples.findIndex(s => Math.abs(s) > 0.05) / 16 - wroteAt)
    }
    t.comment(`${name}: written to in Node p50 ${quantile(arrived, 0.5).toFixed(1)} ms, most ${Math.max(...arrived).toFixed(1)} ms; stamp after the write ${Math.min(...stamped).toFixed(1)} to ${Math.max(...stamped).toFixed(1)} ms`)
    t.ok(arrived.length >= 10, 'a busy machine may lose a tone, not more')
    t.ok(quantile(arrived, 0.5) < 60)
    // A null sink renders blocks of up to 50 ms before they are due, which no sound card can: stamps are early by as much.
    t.ok(quantile(stamped, 0.5) > -60 && quantile(stamped, 0.5) < 30)
    await speaker[Symbol.asyncDispose]()
    await microphone[Symbol.asyncDispose]()
    await ended
  })
}
