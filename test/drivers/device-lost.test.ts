import t from 'tap'
import type { AudioFrame } from '../../base/frames.js'
import * as alsa from '../../drivers/microphone/alsa.js'
import * as pulse from '../../drivers/microphone/pulse.js'
import * as pipe from '../../drivers/speaker/pipe.js'
import * as card from '../../drivers/speaker/speaker.js'
import { SoundServer } from '../../drivers/room/sound-server.js'
import { peak, sleep, testHost, tone, until } from './host.js'

/** The bar: a device is in use again this soon after it is back. */
const BACK_MS = 3_000

async function listen(microphone: Awaited<ReturnType<typeof pulse.open>>): Promise<{ frames: AudioFrame[]; close(): Promise<void> }> {
  const frames: AudioFrame[] = []
  const ended = (async () => { for await (const frame of microphone.frames()) frames.push(frame) })()
  return { frames, close: async () => { await microphone[Symbol.asyncDispose](); await ended } }
}

t.test('a microphone that is unplugged is not replaced by another source, and is found again by name', async t => {
  await using server = await SoundServer.start()
  server.useHere()
  const ear = await listen(await pulse.open(pulse.schema.parse({ driver: 'pulse', device: 'mic' }), testHost()))
  await sleep(200)
  await server.unplugMicrophone()
  await sleep(300)
  const seen = ear.frames.length
  void server.play(tone(3_000), 16_000, 'room') // any other source would hear this
  await sleep(1_200)
  t.equal(ear.frames.length, seen, 'nothing comes while it is away')
  const backAt = performance.now()
  await server.plugMicrophone()
  await until('frames of the right microphone', BACK_MS, () => ear.frames.slice(seen).some(f => peak(f.samples) > 0.1))
  t.comment(`microphone back ${(performance.now() - backAt).toFixed(0)} ms after it was plugged in`)
  await ear.close()
})

t.test('the sound server dies and comes back: microphones and speakers go on without being opened again', async t => {
  await using server = await SoundServer.start()
  server.useHere()
  const host = testHost()
  const ears = {
    pulse: await listen(await pulse.open(pulse.schema.parse({ driver: 'pulse', device: 'mic' }), host)),
    alsa: await listen(await alsa.open(alsa.schema.parse({ driver: 'alsa' }), host)),
  }
  const speakers = {
    speaker: await card.open(card.schema.parse({ driver: 'speaker' }), host),
    pacat: await pipe.open(pipe.schema.parse({ driver: 'pipe', device: 'spk' }), host),
  }
  let speaking = true
  const writing = Object.values(speakers).map(async s => { while (speaking) await s.write(tone(80)) })
  await sleep(400)
  await server.kill()
  await sleep(1_500)
  const seen = { pulse: ears.pulse.frames.length, alsa: ears.alsa.frames.length }
  await server.restart()
  const backAt = performance.now()
  for (const name of ['pulse', 'alsa'] as const) {
    await until(`${name} hears the speaker`, BACK_MS, () => ears[name].frames.slice(seen[name]).some(f => peak(f.samples) > 0.1))
    t.comment(`${name} hears our voice ${(performance.now() - backAt).toFixed(0)} ms after the server is back`)
  }
  await Promise.all(Object.entries(speakers).map(async ([name, speaker]) => {
    speaker.flush()
    await until(`${name} is heard`, BACK_MS, () => speaker.heardMs() > 100)
    t.comment(`${name} takes sound ${(performance.now() - backAt).toFixed(0)} ms after the server is back`)
  }))
  speaking = false
  await Promise.all(writing)
  await Promise.all([...Object.values(ears).map(e => e.close()), ...Object.values(speakers).map(s => s[Symbol.asyncDispose]())])
})
