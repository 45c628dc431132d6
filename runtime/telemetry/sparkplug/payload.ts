import { decode, encode, type Fields } from './protobuf.js'
import { DATA_TYPES, MESSAGES } from './schema.generated.js'

/** The data types that we use: number in the protocol, and the field that carries the value (Sparkplug 3.0, 6.4.16). */
export const TYPES = {
  UInt64: { code: DATA_TYPES.UInt64, field: 'longValue' },
  Double: { code: DATA_TYPES.Double, field: 'doubleValue' },
  Boolean: { code: DATA_TYPES.Boolean, field: 'booleanValue' },
  String: { code: DATA_TYPES.String, field: 'stringValue' },
} as const
export type SparkplugType = keyof typeof TYPES

export interface SparkplugMetric {
  readonly name: string
  readonly type: SparkplugType
  /** Null: known by name, without a value yet. */
  readonly value: number | bigint | boolean | string | null
  /** Unix ms. */
  readonly timestamp: number
  readonly historical?: boolean
}

export interface SparkplugPayload {
  readonly timestamp: number
  /** 0 to 255; NDEATH has none. */
  readonly seq?: number
  readonly metrics: readonly SparkplugMetric[]
}

export function encodePayload(payload: SparkplugPayload): Buffer {
  return encode(MESSAGES, 'Payload', {
    timestamp: payload.timestamp, seq: payload.seq,
    metrics: payload.metrics.map(m => ({
      name: m.name, timestamp: m.timestamp, datatype: TYPES[m.type].code, isHistorical: m.historical ? true : undefined,
      ...(m.value === null ? { isNull: true } : { [TYPES[m.type].field]: m.value }),
    })),
  })
}

/** Metrics of other types than ours are left out. Throws RangeError for what is no payload. */
export function decodePayload(bytes: Buffer): SparkplugPayload {
  const { timestamp, seq, metrics } = decode(MESSAGES, 'Payload', bytes)
  return {
    timestamp: Number(timestamp ?? 0), ...(seq === undefined ? {} : { seq: Number(seq) }),
    metrics: ((metrics ?? []) as Fields[]).flatMap(readMetric),
  }
}

function readMetric(metric: Fields): SparkplugMetric[] {
  const type = (Object.keys(TYPES) as SparkplugType[]).find(t => TYPES[t].code === metric['datatype'])
  if (!type || typeof metric['name'] !== 'string') return []
  const raw = metric[TYPES[type].field]
  const value = metric['isNull'] === true || raw === undefined ? null : (raw as SparkplugMetric['value'])
  return [{ name: metric['name'], type, value, timestamp: Number(metric['timestamp'] ?? 0), ...(metric['isHistorical'] === true ? { historical: true } : {}) }]
}
