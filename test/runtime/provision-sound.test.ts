import { rm } from 'node:fs/promises'
import { join } from 'node:path'
import t from 'tap'
import { systemClock } from '../../base/clock.js'
import { createLog } from '../../base/log.js'
import { trySound } from '../../deploy/provision/checks.js'
import { SoundServer } from '../../drivers/room/sound-server.js'
import { ProvisionSound } from '../../runtime/compose/provision-sound.js'
import { PACKAGE } from '../../runtime/cli/paths.js'
import { configSchema } from '../../runtime/config/schema.js'

// The prompt takes 5 s of sound, the probe of the canceller 4 s; the model is loaded twice.
t.setTimeout(180_000)
const PICO = join(PACKAGE, 'models/pico')
const setup = (settings: unknown = {}) => async () => ({ config: configSchema.parse(settings), bundle: PICO })
const host = { clock: systemClock, log: createLog('silent'), signal: new AbortController().signal }
process.env['PARLEY_CACHE'] = t.testdir()
t.teardown(() => rm(process.env['PARLEY_CACHE'] ?? '', { recursive: true, force: true }))

t.test('in a room with a canceller all is well: the prompt is spoken and heard, the echo has a figure, the golden utterance is answered', async t => {
  await using server = await SoundServer.start({ echoCancel: true })
  server.useHere()
  await using heard = await server.record('spk.monitor')
  // A room is never quite silent.
  const quiet = new AbortController()
  const hum = server.play(Float32Array.from({ length: 60 * 16_000 }, (_, i) => 0.003 * Math.sin(i * 0.31) * Math.sin(i * 1.7)), 16_000, 'room', quiet.signal)
  const { findings, volume } = await trySound(new ProvisionSound(setup(), host), 60)
  t.same(findings.map(f => f.what), ['speaker and microphone', 'echo', 'golden utterance'])
  for (const finding of findings) t.match(finding, { state: 'ok' }, JSON.stringify(finding))
  t.match(findings[0]?.seen, /^room -\d+ dB, own voice -\d+ dB at volume 60 %$/)
  t.match(findings[1]?.seen, /^reduced by \d\d dB$/)
  t.equal(volume, 60)
  t.ok(heard.firstSoundAt(0.02) !== undefined, 'the prompt came out of the speaker')
  quiet.abort()
  await hum
})

t.test('a sound server without a canceller: how our own voice comes back through the room is measured', async t => {
  await using server = await SoundServer.start()
  server.useHere()
  const echo = await new ProvisionSound(setup(), host).echo()
  t.match(echo, { behind: 'microphone', heard: true })
  t.ok(Math.abs(echo?.softerDb ?? 99) < 3, `this room gives back what it is given: ${echo?.softerDb.toFixed(1)} dB`)
})

t.test('a canceller that has nothing to cancel, because the speakerphone has its own, is no failure', async t => {
  await using server = await SoundServer.start({ echoCancel: true, loopback: false })
  server.useHere()
  const quiet = new AbortController()
  const hum = server.play(Float32Array.from({ length: 60 * 16_000 }, (_, i) => 0.003 * Math.sin(i * 0.31)), 16_000, 'room', quiet.signal)
  const echo = await new ProvisionSound(setup(), host).echo()
  t.match(echo, { behind: 'microphone', heard: false })
  t.ok((echo?.softerDb ?? 0) > 12, `${echo?.softerDb.toFixed(1)} dB`)
  quiet.abort()
  await hum
})

t.test('without a sound server and without its programs a device on a bare card is ready', async t => {
  const before = { PATH: process.env['PATH'], PULSE_SERVER: process.env['PULSE_SERVER'] }
  t.teardown(() => void Object.assign(process.env, before))
  Object.assign(process.env, { PATH: '/nowhere', PULSE_SERVER: 'unix:/nowhere' })
  const settings = { microphone: { driver: 'fake', repeat: true, script: [{ ms: 1_000, noise: true, level: 0.003 }] }, speaker: { driver: 'fake' } }
  const { findings } = await trySound(new ProvisionSound(setup(settings), host), 60)
  t.match(findings[1], { what: 'echo', state: 'ok', seen: /^own voice is not heard over the room: at least \d\d dB softer than it was played$/ })
  t.same(findings.filter(f => f.state === 'fail'), [])
})

t.test('a microphone that is silent between words is well as long as it hears the voice', async t => {
  await using server = await SoundServer.start()
  server.useHere()
  const { noiseDb, heardDb } = await new ProvisionSound(setup(), host).speakAndListen('Hello.')
  t.ok(noiseDb < -90 && heardDb > -50, `${noiseDb} and ${heardDb} dB`)
  const sound = { setVolume: async () => {}, speakAndListen: async () => ({ noiseDb, heardDb }), echo: async () => ({ softerDb: 20, behind: 'canceller' as const, heard: true }), golden: async () => ({ passed: true, firstSoundMs: -80 }) }
  t.match((await trySound(sound, 60)).findings, [{ state: 'ok' }, {}, { seen: 'heard and answered, first sound 80 ms before its end' }])
})

t.test('a louder volume is louder in the room', async t => {
  await using server = await SoundServer.start()
  server.useHere()
  const sound = new ProvisionSound(setup(), host)
  const at = async (percent: number): Promise<number> => {
    await sound.setVolume(percent)
    return (await sound.speakAndListen('Hello.')).heardDb
  }
  const [soft, loud] = [await at(20), await at(80)]
  // Four times the amplitude: 12 dB.
  t.ok(loud - soft > 8 && loud - soft < 16, `${soft.toFixed(1)} and ${loud.toFixed(1)} dB`)
})

t.test('where the microphone does not hear the speaker, the technician is told', async t => {
  await using server = await SoundServer.start({ loopback: false })
  server.useHere()
  const { findings } = await trySound(new ProvisionSound(setup(), host), 60)
  t.match(findings[0], { state: 'fail', seen: /digital silence/, mend: /alsamixer/ })
  t.match(findings[1], { state: 'warn', seen: /^not measured: the microphone gives digital silence$/ })
  t.match(findings[2], { state: 'ok' })
})
