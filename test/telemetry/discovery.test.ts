import { execFileSync } from 'node:child_process'
import { fileURLToPath } from 'node:url'
import t from 'tap'
import { z } from 'zod'
import { discovery, discoveryTopic } from '../../runtime/telemetry/discovery.js'
import { METRICS } from '../../runtime/telemetry/metrics.js'
import { topicsOf } from '../../runtime/telemetry/topics.js'
import { Broker } from '../rig/broker.js'
import { Folder, Listener, startTelemetry } from './kit.js'

/*
 * Home Assistant has no schema that others can load: it is Python (voluptuous), and no npm package carries it. So its rules stand
 * here as far as our document touches them, each with the place it was taken from (release 2025.4.4), and never laxer than there. The last
 * test asks Home Assistant's code itself, where it is installed.
 */
/** homeassistant/components/sensor/const.py, DEVICE_CLASS_UNITS. Other units are only warned of for now. */
const UNITS: Record<string, readonly string[]> = {
  duration: ['d', 'h', 'min', 's', 'ms', 'μs'], temperature: ['°C', '°F', 'K'], battery: ['%'], data_size: ['bit', 'kbit', 'Mbit', 'Gbit', 'B', 'kB', 'MB', 'GB', 'TB', 'KiB', 'MiB', 'GiB'],
}
/** homeassistant/components/sensor/const.py, DEVICE_CLASS_STATE_CLASSES: these are measured, and do not add up. */
const MEASURED = new Set(['temperature', 'battery'])
/** homeassistant/components/mqtt/util.py, valid_subscribe_topic; ours has no wildcards either. */
const topic = z.string().regex(/^[^+#\0]+$/)
/** homeassistant/components/mqtt/schemas.py, MQTT_ENTITY_COMMON_SCHEMA. A sensor may not be of the category `config` (sensor/__init__.py). A key that is not known is dropped there without a word, so it is an error here. */
const common = { unique_id: z.string().regex(/^[a-zA-Z0-9_-]+$/), name: z.string(), value_template: z.string(), entity_category: z.literal('diagnostic').optional() }
/** homeassistant/components/mqtt/sensor.py, _PLATFORM_SCHEMA_BASE, and its rules for classes and units. */
const sensor = z.strictObject({
  platform: z.literal('sensor'), ...common, device_class: z.enum(Object.keys(UNITS) as [string]).optional(),
  state_class: z.enum(['measurement', 'total_increasing']).optional(), unit_of_measurement: z.string().optional(),
})
  .refine(s => !s.device_class || (s.unit_of_measurement !== undefined && UNITS[s.device_class]?.includes(s.unit_of_measurement)), 'a unit that its class allows')
  .refine(s => !s.device_class || !MEASURED.has(s.device_class) || s.state_class === 'measurement', 'a state class that its class allows')
/** homeassistant/components/mqtt/binary_sensor.py; ON and OFF are its defaults. Of the classes in binary_sensor/__init__.py we use one. */
const binary = z.strictObject({ platform: z.literal('binary_sensor'), ...common, device_class: z.enum(['problem']).optional() })

/** homeassistant/components/mqtt/schemas.py, DEVICE_DISCOVERY_SCHEMA: device (with an identifier), origin (with a name) and components (with a platform) must be there; other keys are errors. */
const document = z.strictObject({
  device: z.strictObject({ identifiers: z.array(z.string()).min(1), name: z.string(), manufacturer: z.string(), model: z.string(), sw_version: z.string(), hw_version: z.string().optional() }),
  origin: z.strictObject({ name: z.string(), sw_version: z.string().optional(), support_url: z.url().optional() }),
  availability_topic: topic, state_topic: topic, qos: z.union([z.literal(0), z.literal(1), z.literal(2)]),
  components: z.record(z.string(), z.union([sensor, binary])),
})

t.test('the discovery document fits Home Assistant\'s schema, and has every metric once', async t => {
  await using broker = await Broker.start()
  await using folder = await Folder.make()
  await using device = await startTelemetry(broker, folder.path)
  await using owner = await Listener.open(broker.url, 'homeassistant/#')
  const heard = await owner.until(h => h.topic.startsWith('homeassistant/'), 'the discovery')
  t.equal(heard.packet.retain, true)
  // homeassistant/components/mqtt/discovery.py, TOPIC_MATCHER: <prefix>/<component>/[<node_id>/]<object_id>/config
  t.match(heard.topic, /^homeassistant\/device\/[a-zA-Z0-9_-]+\/[a-zA-Z0-9_-]+\/config$/)
  const checked = document.safeParse(JSON.parse(heard.payload.toString()))
  t.ok(checked.success, checked.error?.message ?? 'valid')
  t.same(Object.keys(checked.data!.components), Object.keys(METRICS))
  t.equal(new Set(Object.values(checked.data!.components).map(c => c.unique_id)).size, Object.keys(METRICS).length)
  t.equal(checked.data!.availability_topic, device.topics.availability)
  t.ok(heard.payload.length < 16_384, `${heard.payload.length} bytes`)
})

t.test('devices of the same name at two sites are two devices', t => {
  const of = (site: string): [string, string] => {
    const about = { site, device: 'r1', version: '1' }
    return [discoveryTopic('homeassistant', about), JSON.stringify((discovery(about, topicsOf(site, 'r1')) as { device: object }).device)]
  }
  t.not(of('a')[0], of('b')[0])
  t.not(of('a')[1], of('b')[1])
  t.end()
})

// A Python that has `homeassistant` and `paho-mqtt`: hundreds of MB that no other test needs. 2025.4.4 took the document.
const python = process.env['PARLEY_HOME_ASSISTANT']
if (python) {
  t.test('Home Assistant\'s own code takes the discovery document', { timeout: 120_000 }, async t => {
    const about = { site: 'lab', device: 'r1', version: '1.2.3', hardware: 'a kiosk' }
    const script = fileURLToPath(new URL('../../../test/telemetry/home-assistant.py', import.meta.url))
    const checked = execFileSync(python, [script], { input: JSON.stringify(discovery(about, topicsOf('lab', 'r1'))), encoding: 'utf8' })
    t.equal(Number(checked), Object.keys(METRICS).length)
  })
}
