import t from 'tap'
import { EchoGate, type GatedFrame } from '../../drivers/echo/gate.js'
import { findEchoCanceller, measureEchoCanceller, setUpEchoCanceller } from '../../drivers/echo/echo-cancel.js'
import * as pulse from '../../drivers/microphone/pulse.js'
import * as card from '../../drivers/speaker/speaker.js'
import { SoundServer } from '../../drivers/room/sound-server.js'
import { quantile, sleep, speech, testHost } from './host.js'

t.setTimeout(240_000)

const server = await SoundServer.start()
server.useHere()
t.teardown(() => server[Symbol.asyncDispose]())

/** Speaks at full volume into the room for `seconds`; from the sixth on `people` speak too, one after the other. */
async function speakAndListen(source: string, sink: string, seconds: number, people: number): Promise<{ frames: GatedFrame[]; onsets: number[]; gate: EchoGate }> {
  const host = testHost()
  process.env['PULSE_SINK'] = sink
  const speaker = await card.open(card.schema.parse({ driver: 'speaker' }), host)
  const microphone = await pulse.open(pulse.schema.parse({ driver: 'pulse', device: source }), host)
  const gate = new EchoGate()
  speaker.tap(gate.reference)
  const frames: GatedFrame[] = []
  const ended = (async () => { for await (const frame of microphone.frames()) frames.push(gate.process(frame)) })()
  const words = await Promise.all(['Front_Left', 'Rear_Center', 'Side_Left', 'Front_Center'].map(name => speech(name, 0.95)))
  const onsets: number[] = []
  const strangers = await Promise.all(['Rear_Right', 'Side_Right'].map(name => speech(name, 0.95)))
  const end = performance.now() + seconds * 1000
  const others = (async () => {
    for (let n = 0; n < people; n++) {
      await sleep(n === 0 ? 6_000 : 3_000)
      const other = strangers[n % 2]!
      const begins = other.findIndex(s => Math.abs(s) > 0.1) // where it is loud enough to be told from the echo
      onsets.push(performance.now() + begins / 16)
      await server.play(other, 16_000, 'room')
    }
  })()
  for (let n = 0; performance.now() < end; n++) await speaker.write(words[n % words.length]!)
  speaker.flush()
  await others
  await microphone[Symbol.asyncDispose]()
  await ended
  await speaker[Symbol.asyncDispose]()
  return { frames, onsets, gate }
}

const loudNear = (frames: GatedFrame[]): GatedFrame[] => frames.filter(f => f.heard === 'near')

/** A sound server that is starved of the processor loses samples, and its canceller its way: that says nothing of the gate. */
const ROUNDS = 3

/** Our own voice alone, until a round in which none of it passes; fails the test when there is none. */
async function ownVoice(t: { comment(text: string): void; equal(a: unknown, b: unknown, why: string): unknown }, source: string, sink: string, seconds: number): Promise<Awaited<ReturnType<typeof speakAndListen>>> {
  for (let round = 1; ; round++) {
    const own = await speakAndListen(source, sink, seconds, 0)
    const passed = loudNear(own.frames).map(f => ((f.frame.at - (own.frames[0]?.frame.at ?? 0)) / 1000).toFixed(2))
    t.comment(`round ${round}: delay ${own.gate.delayMs?.toFixed(0)} ms, coupling ${own.gate.couplingDb?.toFixed(1)} dB, ${passed.length} of ${own.frames.length} frames pass: ${passed.join(' ')} s`)
    if (passed.length === 0 || round === ROUNDS) {
      t.equal(passed.length, 0, `frames of our own voice that pass, round ${round}`)
      return own
    }
  }
}

t.test('through the sound server, 12 s of our own voice at full volume pass no frame', async t => {
  const { gate } = await ownVoice(t, 'mic', 'spk', 12)
  t.ok(gate.delayMs !== undefined)
})

t.test('and a person who speaks in the room passes', async t => {
  const { frames, onsets } = await speakAndListen('mic', 'spk', 12, 2)
  const waits = onsets.map(onset => (loudNear(frames).find(f => f.frame.at + 20 > onset)?.frame.at ?? Infinity) + 20 - onset)
  t.comment(`passes after p50 ${quantile(waits, 0.5).toFixed(0)} ms, most ${Math.max(...waits).toFixed(0)} ms`)
  t.ok(Math.max(...waits) < 600, 'each is heard')
})

t.test('the sound server\'s canceller is set up once, found again, and cancels at least 15 dB', async t => {
  t.equal(await findEchoCanceller(), undefined)
  const canceller = await setUpEchoCanceller({ source: 'mic', sink: 'spk' })
  t.same(await setUpEchoCanceller(), { ...canceller, ...(await findEchoCanceller()) })
  const figures = await measureEchoCanceller(canceller)
  t.comment(`${figures.cancelledDb.toFixed(1)} dB cancelled, the echo ${figures.echoOverNoiseDb.toFixed(0)} dB over the noise`)
  t.ok(figures.cancelledDb > 15)
  const own = await ownVoice(t, canceller.source, canceller.sink, 10)
  t.ok(own.frames.length > 400, 'the microphone behind it delivers')
  // Not each, and not in every round: now and then the canceller leaves nothing of a person (README).
  let heard = 0
  for (let round = 1; heard < 2 && round <= ROUNDS; round++) {
    const { frames, onsets } = await speakAndListen(canceller.source, canceller.sink, 21, 4)
    const waits = onsets.map(onset => (loudNear(frames).find(f => f.frame.at + 20 > onset)?.frame.at ?? Infinity) + 20 - onset)
    t.comment(`round ${round}: people pass after ${waits.map(ms => ms.toFixed(0)).join(', ')} ms`)
    heard = waits.filter(ms => ms < 600).length
  }
  t.ok(heard >= 2, `${heard} of 4 people are heard`)
})
