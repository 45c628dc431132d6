import { fileURLToPath } from 'node:url'
import t from 'tap'
import { systemClock } from '../../base/clock.js'
import type { Host } from '../../drivers/contract.js'
import { findEchoCanceller, measureEchoCanceller } from '../../drivers/echo/echo-cancel.js'
import { SoundServer } from '../../drivers/room/sound-server.js'
import { openMicrophone, openSpeaker } from '../../runtime/compose/open-sound.js'
import { silentLog, tone } from './fakes.js'
import { until } from './live-kit.js'

t.setTimeout(90_000)

const INSTALLED = fileURLToPath(new URL('../../../deploy/sound/parley.pa', import.meta.url))
const host: Host = { clock: systemClock, log: silentLog, signal: new AbortController().signal }

async function server(t: { teardown(f: () => unknown): unknown }, include?: string): Promise<SoundServer> {
  const server = await SoundServer.start(include ? { include } : {})
  t.teardown(() => server[Symbol.asyncDispose]())
  server.useHere()
  // The installed device has no such variables: the server's defaults are the room's.
  delete process.env['PULSE_SOURCE']
  delete process.env['PULSE_SINK']
  return server
}

t.test('with the file that install.sh puts there, the sound server starts with a canceller that works, and again after its death', async t => {
  const sound = await server(t, INSTALLED)
  const canceller = await findEchoCanceller()
  t.match(canceller, { source: 'parley_mic', sink: 'parley_speaker' })
  if (!canceller) return
  const { cancelledDb } = await measureEchoCanceller(canceller)
  t.comment(`${cancelledDb.toFixed(1)} dB`)
  t.ok(cancelledDb > 15, `${cancelledDb.toFixed(1)} dB cancelled`)
  await sound.restart()
  t.equal((await findEchoCanceller())?.source, 'parley_mic')
})

for (const driver of ['auto', 'named']) {
  t.test(`where no device is named (${driver}), the runtime hears and speaks through the canceller`, async t => {
    const sound = await server(t, INSTALLED)
    await using microphone = await openMicrophone({ driver: driver === 'auto' ? 'auto' : 'pulse' }, host)
    await using speaker = await openSpeaker({ driver: driver === 'auto' ? 'auto' : 'pipe' }, 16_000, host)
    await using heard = await sound.record('spk.monitor')
    const used = async (what: 'source-outputs' | 'sink-inputs', device: string): Promise<boolean> => {
      const index = (await sound.pactl('list', 'short', what === 'sink-inputs' ? 'sinks' : 'sources')).split('\n').find(l => l.split('\t')[1] === device)?.split('\t')[0]
      return (await sound.pactl('list', 'short', what)).split('\n').some(l => l.split('\t')[1] === index)
    }
    for await (const _ of microphone.frames()) break
    t.ok(await used('source-outputs', 'parley_mic'))
    const written = (async () => { for (let n = 0; n < 10; n++) await speaker.write(tone(0.4)) })()
    t.ok(await until(() => heard.firstSoundAt(0.05) !== undefined, 3_000), 'it sounds')
    t.ok(await used('sink-inputs', 'parley_speaker'))
    await written
  })
}

t.test('without a canceller the default microphone is held by its name: unplugged, no other source is taken for it', async t => {
  const sound = await server(t)
  await using microphone = await openMicrophone({ driver: 'auto' }, host)
  let frames = 0
  void (async () => { for await (const _ of microphone.frames()) frames++ })()
  t.ok(await until(() => frames > 10, 3_000))
  await sound.unplugMicrophone()
  t.ok(await until(() => !microphone.health().ok, 3_000), 'it is missed')
  const before = frames
  await systemClock.sleep(500)
  t.ok(frames - before < 5, 'nothing else is heard in its place')
  await sound.plugMicrophone()
  t.ok(await until(() => frames > before + 10, 5_000), 'and it is found again')
})

t.test('a device that was named is used as it is', async t => {
  const sound = await server(t, INSTALLED)
  await using microphone = await openMicrophone({ driver: 'pulse', device: 'mic' }, host)
  for await (const _ of microphone.frames()) break
  const outputs = await sound.pactl('list', 'source-outputs')
  t.match(outputs, /parec|parley/i)
  const mic = (await sound.pactl('list', 'short', 'sources')).split('\n').find(l => l.split('\t')[1] === 'mic')?.split('\t')[0]
  t.ok((await sound.pactl('list', 'short', 'source-outputs')).split('\n').filter(l => l.split('\t')[1] === mic).length >= 2, 'the canceller and we record from it')
})
