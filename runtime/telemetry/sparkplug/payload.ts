import { decode, encode, type Fields, type Schema } from './protobuf.js'

/**
 * Source: Sparkplug 3.0, sparkplug_b.proto. The fields that a node like ours writes or reads; data sets, templates and metadata are
 * not among them. A table instead of generated code: it is all that is needed, and a test holds each of its lines against the code
 * that others have generated from the same file.
 */
export const METRIC: Schema = { fields: [
  { number: 1, name: 'name', type: 'string' },
  { number: 2, name: 'alias', type: 'uint64' },
  { number: 3, name: 'timestamp', type: 'uint64' },
  { number: 4, name: 'datatype', type: 'uint32' },
  { number: 5, name: 'isHistorical', type: 'bool' },
  { number: 6, name: 'isTransient', type: 'bool' },
  { number: 7, name: 'isNull', type: 'bool' },
  { number: 10, name: 'intValue', type: 'uint32' },
  { number: 11, name: 'longValue', type: 'uint64' },
  { number: 12, name: 'floatValue', type: 'float' },
  { number: 13, name: 'doubleValue', type: 'double' },
  { number: 14, name: 'booleanValue', type: 'bool' },
  { number: 15, name: 'stringValue', type: 'string' },
  { number: 16, name: 'bytesValue', type: 'bytes' },
] }

export const PAYLOAD: Schema = { fields: [
  { number: 1, name: 'timestamp', type: 'uint64' },
  { number: 2, name: 'metrics', type: METRIC, repeated: true },
  { number: 3, name: 'seq', type: 'uint64' },
  { number: 4, name: 'uuid', type: 'string' },
  { number: 5, name: 'body', type: 'bytes' },
] }

/** The data types that we use: number in the protocol, and the field that carries the value. */
export const TYPES = {
  UInt64: { code: 8, field: 'longValue' },
  Double: { code: 10, field: 'doubleValue' },
  Boolean: { code: 11, field: 'booleanValue' },
  String: { code: 12, field: 'stringValue' },
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
  return encode(PAYLOAD, {
    timestamp: payload.timestamp, seq: payload.seq,
    metrics: payload.metrics.map(m => ({
      name: m.name, timestamp: m.timestamp, datatype: TYPES[m.type].code, isHistorical: m.historical ? true : undefined,
      ...(m.value === null ? { isNull: true } : { [TYPES[m.type].field]: m.value }),
    })),
  })
}

/** Metrics of other types than ours are left out. Throws RangeError for what is no payload. */
export function decodePayload(bytes: Buffer): SparkplugPayload {
  const { timestamp, seq, metrics } = decode(PAYLOAD, bytes)
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
