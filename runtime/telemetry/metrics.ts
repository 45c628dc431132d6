export interface Metric {
  /** As OpenTelemetry would name it. */
  readonly name: string
  /** UCUM. `By` is bytes, `Cel` degrees, `1` a number of things. */
  readonly unit: string
  /** A counter only grows while the process lives. */
  readonly kind: 'gauge' | 'counter' | 'text' | 'flag'
  /** What a person reads. */
  readonly label: string
  /** Home Assistant's device class, where it has one for this. */
  readonly deviceClass?: string
}

const gauge = (name: string, unit: string, label: string, deviceClass?: string): Metric => ({ name, unit, kind: 'gauge', label, ...(deviceClass ? { deviceClass } : {}) })
const counter = (name: string, label: string, unit = '1'): Metric => ({ name, unit, kind: 'counter', label })
const text = (name: string, label: string): Metric => ({ name, unit: '', kind: 'text', label })
const flag = (name: string, label: string, deviceClass?: string): Metric => ({ name, unit: '', kind: 'flag', label, ...(deviceClass ? { deviceClass } : {}) })

/** Every metric there is, by the key that stands in JSON. All encoders read this table and no other. */
export const METRICS = {
  problem: flag('parley.problem', 'Problem', 'problem'),
  turns: counter('parley.turns', 'Turns'),
  interrupted: counter('parley.turns.interrupted', 'Interrupted turns'),
  lost: counter('parley.turns.lost', 'Lost turns'),
  false_starts: counter('parley.false_starts', 'False starts'),
  first_sound: gauge('parley.turn.first_sound.duration', 'ms', 'End of speech to first sound', 'duration'),
  barge_in: gauge('parley.turn.barge_in.duration', 'ms', 'Interruption to silence', 'duration'),
  step_p50: gauge('parley.model.step.duration.p50', 'ms', 'Step time, median', 'duration'),
  step_p95: gauge('parley.model.step.duration.p95', 'ms', 'Step time, 95 %', 'duration'),
  step_max: gauge('parley.model.step.duration.max', 'ms', 'Step time, longest', 'duration'),
  respawns: counter('parley.model.respawns', 'Model restarts'),
  dropped_ticks: counter('parley.microphone.dropped_ticks', 'Dropped ticks'),
  dropped_chunks: counter('parley.playout.dropped_chunks', 'Dropped speech chunks'),
  playout_gaps: counter('parley.playout.gaps', 'Gaps in speech'),
  tool_calls: counter('parley.tools.calls', 'Tool calls'),
  tool_failures: counter('parley.tools.failures', 'Failed tool calls'),
  errors: counter('parley.errors', 'Errors'),
  temperature: gauge('hw.temperature', 'Cel', 'Temperature', 'temperature'),
  battery: gauge('hw.battery.charge', '%', 'Battery', 'battery'),
  tick_budget: gauge('parley.model.step.budget', 'ms', 'Time allowed for a step', 'duration'),
  power_mode: text('hw.power.mode', 'Power mode'),
  memory: gauge('process.memory.usage', 'By', 'Memory of all processes', 'data_size'),
  memory_free: gauge('system.memory.free', 'By', 'Free memory', 'data_size'),
  disk_free: gauge('system.filesystem.free', 'By', 'Free disk', 'data_size'),
  load: gauge('system.cpu.load_average.1m', '1', 'Load'),
  uptime: gauge('process.uptime', 's', 'Up for', 'duration'),
  version: text('service.version', 'Version'),
  release: text('service.release', 'Release'),
  node_version: text('process.runtime.version', 'Node'),
  os: text('os.description', 'System'),
  update: text('parley.update.state', 'Update'),
  update_reason: text('parley.update.reason', 'What the update does or waits for'),
  update_done: gauge('parley.update.done', '%', 'Update fetched, or its engine built'),
  bundle: text('parley.bundle.name', 'Model bundle'),
  bundle_hash: text('parley.bundle.hash', 'Model bundle hash'),
  provider: text('parley.model.provider', 'Provider'),
  clock_trusted: flag('parley.clock.trusted', 'Clock is right'),
  certificate_days: gauge('tls.client.not_after.remaining', 'd', 'Certificate valid for', 'duration'),
  reconnects: counter('parley.telemetry.reconnects', 'Reconnections'),
  takeovers: counter('parley.telemetry.takeovers', 'Id taken by another'),
  backlog: gauge('parley.telemetry.backlog', '1', 'Records that wait'),
  dropped_events: counter('parley.telemetry.dropped_events', 'Events lost'),
  dropped_turns: counter('parley.telemetry.dropped_turns', 'Turn records lost'),
  store_errors: counter('parley.telemetry.store_errors', 'Disk errors'),
  stored_bytes: counter('parley.telemetry.stored', 'Written to disk', 'By'),
} as const satisfies Record<string, Metric>

export type MetricKey = keyof typeof METRICS
export const METRIC_KEYS = Object.keys(METRICS) as MetricKey[]
export type Value = number | string | boolean
