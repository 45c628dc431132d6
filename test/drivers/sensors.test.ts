import { mkdirSync, rmSync, writeFileSync, appendFileSync } from 'node:fs'
import { join } from 'node:path'
import t from 'tap'
import type { Reading } from '../../base/frames.js'
import type { Sensor } from '../../drivers/contract.js'
import { openDriver } from '../../drivers/table.js'
import { children, first, host, tempFolder, until } from './kit.js'

const put = (folder: string, files: Record<string, string>): void => {
  mkdirSync(folder, { recursive: true })
  for (const [name, text] of Object.entries(files)) writeFileSync(join(folder, name), `${text}\n`)
}
const open = (type: string, config: Record<string, unknown>): Promise<Sensor> => openDriver('sensor', type, { intervalMs: 10, minIntervalMs: 0, ...config }, host().host)

/** All readings so far and to come. */
function gather(sensor: Sensor): Reading['value'][] {
  const values: Reading['value'][] = []
  void (async () => {
    for await (const reading of sensor.readings()) values.push(reading.value)
  })()
  return values
}
/** What is fast here may take a busy machine seconds. */
const LIMIT_MS = 10_000
/** Until what is there now has been sampled: of two more samples the first may have begun before. */
async function sampled(sensor: Sensor): Promise<void> {
  const count = (): number => (sensor.health().counters['samples'] ?? 0)
  const enough = count() + 2
  await until(() => count() >= enough, LIMIT_MS, 'two more samples')
}

t.test('a battery is the one of type Battery that is not a mouse\'s', async t => {
  const sys = tempFolder()
  put(join(sys, 'class/power_supply/AC'), { type: 'Mains', online: '1' })
  put(join(sys, 'class/power_supply/ABmouse'), { type: 'Battery', scope: 'Device', capacity: '5' })
  put(join(sys, 'class/power_supply/BAT1'), { type: 'Battery', capacity: '9' })
  await using sensor = await open('battery', { sysfs: sys })
  t.match(await first(sensor.readings(), LIMIT_MS), { source: 'battery', value: 9, unit: '%' })
})

t.test('a battery without capacity is told from its energy', async t => {
  const sys = tempFolder()
  put(join(sys, 'class/power_supply/BAT0'), { type: 'Battery', energy_now: '20000000', energy_full: '50000000' })
  await using sensor = await open('battery', { sysfs: sys })
  t.match(await first(sensor.readings(), LIMIT_MS), { value: 40 })
})

t.test('the temperature is that of the hottest zone that works', async t => {
  const sys = tempFolder()
  put(join(sys, 'class/thermal/thermal_zone0'), { type: 'cpu-thermal', temp: '51500' })
  put(join(sys, 'class/thermal/thermal_zone1'), { type: 'gpu-thermal', temp: '63000' })
  put(join(sys, 'class/thermal/thermal_zone2'), { type: 'PMIC-Die', temp: '-256000' })
  put(join(sys, 'class/thermal/cooling_device0'), { type: 'fan' })
  await using sensor = await open('thermal', { sysfs: sys })
  t.match(await first(sensor.readings(), LIMIT_MS), { source: 'temperature', value: 63, unit: '°C' })
})

t.test('a Jetson\'s zone is found by its type where only the virtual devices show it', async t => {
  const sys = tempFolder()
  put(join(sys, 'devices/virtual/thermal/thermal_zone0'), { type: 'CPU-therm', temp: '40000' })
  put(join(sys, 'devices/virtual/thermal/thermal_zone1'), { type: 'GPU-therm', temp: '38250' })
  await using sensor = await open('thermal', { sysfs: sys, zone: 'GPU-therm' })
  t.match(await first(sensor.readings(), LIMIT_MS), { value: 38 })
})

t.test('a zone that does not exist is told with those that do', async t => {
  const sys = tempFolder()
  put(join(sys, 'class/thermal/thermal_zone0'), { type: 'cpu-thermal', temp: '40000' })
  await using sensor = await open('thermal', { sysfs: sys, zone: 'gpu' })
  t.match(sensor.health(), { ok: false, detail: /type gpu .*seen: cpu-thermal/ })
})

t.test('changes within the hysteresis are not told', async t => {
  const path = join(tempFolder(), 'value')
  writeFileSync(path, '50')
  await using sensor = await open('file', { path, hysteresis: 2 })
  const values = gather(sensor)
  for (const value of ['51', '50', '52', '53', '49.5']) {
    writeFileSync(path, value)
    await sampled(sensor)
  }
  await until(() => values.length >= 3, LIMIT_MS, 'the last one')
  t.same(values, [50, 52, 49.5])
})

t.test('a change that came too soon is told when its time has come', async t => {
  const path = join(tempFolder(), 'value')
  writeFileSync(path, 'open')
  await using sensor = await open('file', { path, minIntervalMs: 150 })
  writeFileSync(path, 'Closed\n')
  const readings: Reading[] = []
  for await (const reading of sensor.readings()) if (readings.push(reading) === 2) break
  t.same(readings.map(r => r.value), ['open', 'closed'])
  t.ok(readings[1]!.at - readings[0]!.at >= 150, `${readings[1]!.at - readings[0]!.at} ms apart`)
})

t.test('a missing file makes the health not ok, and it is found when it appears', async t => {
  const path = join(tempFolder(), 'value')
  await using sensor = await open('file', { path })
  t.match(sensor.health(), { ok: false, detail: `${path} does not exist (yet)` })
  writeFileSync(path, '4')
  t.match(await first(sensor.readings(), LIMIT_MS), { value: 4 })
  t.ok(sensor.health().ok)
  rmSync(path)
  await until(() => !sensor.health().ok, LIMIT_MS, 'gone again')
})

t.test('a file that holds something else is no value', async t => {
  const path = join(tempFolder(), 'value')
  for (const text of ['', '{"a": 1}', 'x'.repeat(5_000), '\u0000\u0001', 'rm -rf / ; true']) {
    writeFileSync(path, text)
    await using sensor = await open('file', { path })
    t.match(sensor.health(), { ok: false, detail: /holds/ }, JSON.stringify(text.slice(0, 20)))
  }
})

t.test('a GPIO with a pull-up is pressed at 0', async t => {
  const path = join(tempFolder(), 'gpio')
  writeFileSync(path, '1\n')
  await using sensor = await open('button', { gpio: path, activeLow: true })
  const values = gather(sensor)
  writeFileSync(path, '0\n')
  await until(() => values.length === 2, LIMIT_MS, 'pressed')
  t.same(values, ['released', 'pressed'])
})

t.test('a press and its release between two looks at an input device are both told', async t => {
  const path = join(tempFolder(), 'event')
  const event = (type: number, code: number, value: number): Buffer => {
    const bytes = Buffer.alloc(24)
    bytes.writeUInt16LE(type, 16)
    bytes.writeUInt16LE(code, 18)
    bytes.writeInt32LE(value, 20)
    return bytes
  }
  writeFileSync(path, '')
  await using sensor = await open('button', { evdev: path, code: 0x100 })
  const values = gather(sensor)
  appendFileSync(path, Buffer.concat([event(1, 0x100, 1), event(0, 0, 0), event(1, 0x100, 2), event(1, 0x101, 1), event(1, 0x100, 0)]))
  await until(() => values.length === 2, LIMIT_MS, 'both')
  t.same(values, ['pressed', 'released'])
})

t.test('a button needs one of gpio and evdev', async t => {
  await t.rejects(open('button', {}), { code: 'bad-config', message: /either gpio or evdev/ })
})

t.test('a command\'s first line is the value', async t => {
  await using sensor = await open('command', { argv: ['printf', 'Docked\nmore\n'] })
  t.match(await first(sensor.readings(), LIMIT_MS), { value: 'docked' })
})

t.test('a command gets its arguments as they are, without a shell', async t => {
  await using sensor = await open('command', { argv: ['echo', '$(id)'] })
  t.match(sensor.health(), { ok: false, detail: /\$\(id\)/ })
})

t.test('a command that hangs is killed with its children when its time is over', async t => {
  await using sensor = await open('command', { argv: ['sh', '-c', 'sleep 60 & sleep 60'], timeoutMs: 100 })
  t.match(sensor.health(), { ok: false, detail: /longer than 100 ms/ })
  await sensor[Symbol.asyncDispose]()
  t.same(children(), [])
})

t.test('a command that floods its output is killed', { timeout: 20_000 }, async t => {
  await using sensor = await open('command', { argv: ['yes'], timeoutMs: 10_000 })
  t.match(sensor.health(), { ok: false, detail: /more than 4096/ })
})

t.test('a command that does not exist is a sensor without a value', async t => {
  await using sensor = await open('command', { argv: ['/no/such/program'] })
  t.match(sensor.health(), { ok: false, detail: /could not be started.*ENOENT/ })
})

t.test('a consumer that is late loses the oldest readings, and they are counted', async t => {
  const script = Array.from({ length: 2_000 }, (_, i) => ({ atMs: i * 6, value: i }))
  await using sensor = await open('fake', { intervalMs: 5, script })
  await until(() => (sensor.health().counters['dropped'] ?? 0) > 0, LIMIT_MS, 'a drop')
  t.not((await first(sensor.readings(), LIMIT_MS)).value, 0)
})
