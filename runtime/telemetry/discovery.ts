import { METRICS, METRIC_KEYS, type Metric } from './metrics.js'
import type { Topics } from './topics.js'

/** Units as Home Assistant spells them; a unit that its device class does not allow makes it refuse the entity. */
const UNITS: Record<string, string | undefined> = { ms: 'ms', s: 's', d: 'd', '%': '%', Cel: '°C', By: 'B', '1': undefined, '': undefined }

/** Everything that is not a measure of the talk itself is for the technician. */
const MAIN = new Set(['problem', 'turns', 'first_sound', 'temperature', 'battery'])

export interface About {
  readonly site: string
  readonly device: string
  readonly version: string
  readonly hardware?: string
}

/**
 * One retained document that describes the device and all its sensors.
 * Source: Home Assistant, MQTT integration, "Device discovery payload"; topic `<prefix>/device/<site>/<device>/config`.
 */
export function discovery(about: About, topics: Topics): object {
  const id = `parley_${about.site}_${about.device}`
  return {
    device: {
      identifiers: [id], name: `${about.device} (${about.site})`, manufacturer: 'parley', model: 'voice runtime',
      sw_version: about.version, ...(about.hardware ? { hw_version: about.hardware } : {}),
    },
    origin: { name: 'parley', sw_version: about.version },
    availability_topic: topics.availability,
    state_topic: topics.state,
    qos: 0,
    components: Object.fromEntries(METRIC_KEYS.map(key => [key, component(key, METRICS[key], id)])),
  }
}

export const discoveryTopic = (prefix: string, about: About): string => `${prefix}/device/${about.site}/${about.device}/config`

function component(key: string, metric: Metric, id: string): object {
  const common = {
    platform: metric.kind === 'flag' ? 'binary_sensor' : 'sensor',
    unique_id: `${id}_${key}`,
    name: metric.label,
    ...(metric.deviceClass ? { device_class: metric.deviceClass } : {}),
    ...(MAIN.has(key) ? {} : { entity_category: 'diagnostic' }),
  }
  // A value that is not known yet must read as unknown, not as an error of the template.
  if (metric.kind === 'flag') return { ...common, value_template: `{{ 'ON' if value_json.${key} | default(false) else 'OFF' }}` }
  const value = { value_template: `{{ value_json.${key} | default(none) }}` }
  if (metric.kind === 'text') return { ...common, ...value }
  const unit = UNITS[metric.unit]
  return { ...common, ...value, state_class: metric.kind === 'counter' ? 'total_increasing' : 'measurement', ...(unit ? { unit_of_measurement: unit } : {}) }
}
