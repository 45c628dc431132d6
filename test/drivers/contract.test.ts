import { mkdirSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import t from 'tap'
import type { Actuator, Camera, Sensor } from '../../drivers/contract.js'
import { drivers, openDriver } from '../../drivers/table.js'
import { NetworkCamera, children, ffmpeg, first, host, redJpeg, tempFolder, until, withoutOpencv } from './kit.js'

const folder = tempFolder()
const video = join(folder, 'video.mkv')
const value = join(folder, 'value')
ffmpeg('-f', 'lavfi', '-i', 'testsrc=size=320x240:rate=10', '-t', '3', '-c:v', 'mjpeg', video)
writeFileSync(value, '0')
const network = new NetworkCamera(redJpeg())
const address = await network.open()
t.teardown(() => network[Symbol.asyncDispose]())
mkdirSync(join(folder, 'sys/class/power_supply/BAT0'), { recursive: true })
mkdirSync(join(folder, 'sys/class/thermal/thermal_zone0'), { recursive: true })
writeFileSync(join(folder, 'sys/class/power_supply/BAT0/type'), 'Battery\n')
writeFileSync(join(folder, 'sys/class/power_supply/BAT0/capacity'), '80\n')
writeFileSync(join(folder, 'sys/class/thermal/thermal_zone0/type'), 'cpu-thermal\n')
writeFileSync(join(folder, 'sys/class/thermal/thermal_zone0/temp'), '41000\n')

/**
 * What each row of the table is opened with. A row without a section is opened with its defaults, so that no new driver escapes.
 * Microphones and speakers have tests of their own: microphone-contract.test.ts, speaker-contract.test.ts.
 */
const cameras: Record<string, object> = {
  ffmpeg: { source: address },
  opencv: { source: video, loop: true, presence: {} },
  file: { path: video, loop: true },
  fake: { fps: 20 },
}
const fast = { intervalMs: 10 }
const sensors: Record<string, object> = {
  battery: { ...fast, sysfs: join(folder, 'sys') },
  thermal: { ...fast, sysfs: join(folder, 'sys') },
  button: { ...fast, gpio: value },
  file: { ...fast, path: value },
  command: { ...fast, argv: ['echo', '7'] },
  fake: {},
}
const actuators: Record<string, object> = {
  log: { path: join(folder, 'acts.jsonl') },
  mqtt: { topic: 'robot/act' },
  command: { calls: { wave: ['true'] }, stop: ['true'] },
  fake: {},
}
const publishing = { publish: async () => {} }

for (const type of Object.keys(drivers.camera)) {
  const skip = type === 'opencv' && withoutOpencv()
  t.test(`camera ${type}: frames of the asked size, its health progresses, closing twice is once, no process is left`, { skip, timeout: 20_000 }, async t => {
    const { host: h } = host()
    const camera: Camera = await openDriver('camera', type, { name: 'eye', width: 32, height: 24, ...cameras[type] }, h)
    t.equal(camera.name, 'eye')
    const began = performance.now()
    const frame = await first(camera.frames(), 8_000)
    t.equal(frame.rgb.length, 32 * 24 * 3)
    t.ok(frame.at > began - 1_000 && frame.at <= performance.now(), 'stamped by our clock')
    t.ok(camera.health().ok)
    const before = camera.health().lastProgressAt
    await until(() => camera.health().lastProgressAt > before, 8_000, 'progress')
    await Promise.all([camera[Symbol.asyncDispose](), camera[Symbol.asyncDispose]()])
    await camera[Symbol.asyncDispose]()
    t.same(children(), [])
  })

  t.test(`camera ${type}: an abort of the host ends the frames and leaves no process`, { skip, timeout: 20_000 }, async t => {
    const { host: h, stop } = host()
    const camera = await openDriver('camera', type, { width: 32, height: 24, ...cameras[type] }, h)
    const frames = camera.frames()
    await first(frames, 8_000)
    stop()
    await t.rejects(first(frames, 2_000, () => false), /ended/)
    await until(() => children().length === 0, 8_000, 'no process')
    await camera[Symbol.asyncDispose]()
  })
}

for (const type of Object.keys(drivers.sensor)) {
  t.test(`sensor ${type}: gives a reading, its health progresses, closing twice is once, no process is left`, { timeout: 10_000 }, async t => {
    const { host: h } = host()
    const sensor: Sensor = await openDriver('sensor', type, { name: 'thing', ...sensors[type] }, h)
    const reading = await first(sensor.readings(), 8_000)
    t.equal(reading.source, 'thing')
    t.ok(sensor.health().ok)
    const before = sensor.health().lastProgressAt
    await until(() => sensor.health().lastProgressAt > before, 8_000, 'progress')
    await Promise.all([sensor[Symbol.asyncDispose](), sensor[Symbol.asyncDispose]()])
    t.same(children(), [])
  })

  t.test(`sensor ${type}: an abort of the host ends the readings`, { timeout: 10_000 }, async t => {
    const { host: h, stop } = host()
    const sensor = await openDriver('sensor', type, { ...sensors[type] }, h)
    const end = first(sensor.readings(), 2_000, () => false)
    stop()
    await t.rejects(end, /ended/)
    await sensor[Symbol.asyncDispose]()
    t.same(children(), [])
  })
}

for (const type of Object.keys(drivers.actuator)) {
  t.test(`actuator ${type}: acts, its health progresses, stops without a throw, closing twice is once`, { timeout: 10_000 }, async t => {
    const { host: h } = host(publishing)
    const actuator: Actuator = await openDriver('actuator', type, { ...actuators[type] }, h)
    const before = actuator.health().lastProgressAt
    await actuator.act({ name: 'wave', args: {} }, new AbortController().signal)
    t.ok(actuator.health().ok)
    t.ok(actuator.health().lastProgressAt > before)
    t.doesNotThrow(() => actuator.stop())
    await Promise.all([actuator[Symbol.asyncDispose](), actuator[Symbol.asyncDispose]()])
    t.doesNotThrow(() => actuator.stop(), 'the emergency stop also works when closed')
    await t.rejects(actuator.act({ name: 'wave', args: {} }, new AbortController().signal), { code: 'closed' })
    await until(() => children().length === 0, 8_000, 'no process')
  })

  t.test(`actuator ${type}: an abort of the host closes it`, { timeout: 10_000 }, async t => {
    const { host: h, stop } = host(publishing)
    const actuator = await openDriver('actuator', type, { ...actuators[type] }, h)
    stop()
    await t.rejects(actuator.act({ name: 'wave', args: {} }, new AbortController().signal), { code: 'closed' })
  })
}
