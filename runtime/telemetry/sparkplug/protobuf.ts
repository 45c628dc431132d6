/** The part of Protocol Buffers (proto2 wire format) that Sparkplug needs, driven by a table of fields. */
export type FieldType = 'uint32' | 'uint64' | 'float' | 'double' | 'bool' | 'string' | 'bytes' | Schema

export interface Field {
  readonly number: number
  readonly name: string
  readonly type: FieldType
  readonly repeated?: boolean
}

export interface Schema {
  readonly fields: readonly Field[]
}

export type Fields = { readonly [name: string]: unknown }

const VARINT = 0, FIXED64 = 1, BYTES = 2, FIXED32 = 5
const wireOf = (type: FieldType): number => (type === 'float' ? FIXED32 : type === 'double' ? FIXED64 : type === 'uint32' || type === 'uint64' || type === 'bool' ? VARINT : BYTES)

/** Values: number (uint32, float, double), bigint or number (uint64), boolean, string, Buffer, or an object of a nested schema. Undefined ones are left out. */
export function encode(schema: Schema, message: Fields): Buffer {
  const out: Buffer[] = []
  for (const field of schema.fields) {
    const value = message[field.name]
    if (value === undefined) continue
    for (const one of field.repeated ? (value as readonly unknown[]) : [value]) out.push(varint(BigInt((field.number << 3) | wireOf(field.type))), encodeValue(field.type, one))
  }
  return Buffer.concat(out)
}

function encodeValue(type: FieldType, value: unknown): Buffer {
  if (type === 'float' || type === 'double') {
    const out = Buffer.alloc(type === 'float' ? 4 : 8)
    if (type === 'float') out.writeFloatLE(Number(value))
    else out.writeDoubleLE(Number(value))
    return out
  }
  if (type === 'bool') return varint(value === true ? 1n : 0n)
  if (type === 'uint32' || type === 'uint64') return varint(typeof value === 'bigint' ? value : BigInt(Math.trunc(Number(value))))
  const bytes = type === 'string' ? Buffer.from(String(value)) : type === 'bytes' ? (value as Buffer) : encode(type, value as Fields)
  return Buffer.concat([varint(BigInt(bytes.length)), bytes])
}

function varint(value: bigint): Buffer {
  const out: number[] = []
  let rest = BigInt.asUintN(64, value) // a negative int is its two's complement, as in proto2
  do {
    out.push(Number(rest & 0x7fn) | (rest > 0x7fn ? 0x80 : 0))
    rest >>= 7n
  } while (rest > 0n)
  return Buffer.from(out)
}

/** uint64 comes back as bigint. Unknown fields are stepped over. Throws RangeError for bytes that are cut short or wrong. */
export function decode(schema: Schema, bytes: Buffer): Fields {
  const message: Record<string, unknown> = {}
  const reader = new Reader(bytes)
  while (!reader.done) {
    const tag = Number(reader.varint())
    const field = schema.fields.find(f => f.number === tag >>> 3)
    const raw = reader.value(tag & 7)
    if (!field || wireOf(field.type) !== (tag & 7)) continue
    const value = decodeValue(field.type, raw)
    if (!field.repeated) message[field.name] = value
    else (message[field.name] ??= [] as unknown[]) && (message[field.name] as unknown[]).push(value)
  }
  return message
}

function decodeValue(type: FieldType, raw: bigint | Buffer): unknown {
  if (typeof raw === 'bigint') return type === 'bool' ? raw !== 0n : type === 'uint32' ? Number(BigInt.asUintN(32, raw)) : raw
  if (type === 'float') return raw.readFloatLE()
  if (type === 'double') return raw.readDoubleLE()
  if (type === 'string') return raw.toString('utf8')
  return typeof type === 'object' ? decode(type, raw) : raw
}

class Reader {
  readonly #bytes: Buffer
  #at = 0

  constructor(bytes: Buffer) {
    this.#bytes = bytes
  }

  get done(): boolean {
    return this.#at >= this.#bytes.length
  }

  varint(): bigint {
    let value = 0n
    for (let shift = 0n; shift < 70n; shift += 7n) {
      const byte = this.#take(1)[0]!
      value |= BigInt(byte & 0x7f) << shift
      if (byte < 0x80) return BigInt.asUintN(64, value)
    }
    throw new RangeError('a varint of more than ten bytes')
  }

  value(wire: number): bigint | Buffer {
    if (wire === VARINT) return this.varint()
    if (wire === FIXED64) return this.#take(8)
    if (wire === FIXED32) return this.#take(4)
    if (wire === BYTES) return this.#take(Number(this.varint()))
    throw new RangeError(`wire type ${wire}`)
  }

  #take(count: number): Buffer {
    if (this.#at + count > this.#bytes.length) throw new RangeError('the message is cut short')
    return this.#bytes.subarray(this.#at, (this.#at += count))
  }
}
