/** Protocol Buffers (proto2 wire format) as far as Sparkplug needs it, driven by a schema that is generated from its .proto. */
export interface Field {
  readonly number: number
  readonly name: string
  /** uint32, uint64, float, double, bool, string, bytes, or the name of a message. */
  readonly type: string
  readonly repeated?: boolean
}

/** The fields of each message, by its full name. */
export type Messages = { readonly [message: string]: readonly Field[] }

export type Fields = { readonly [name: string]: unknown }

const VARINT = 0, FIXED64 = 1, BYTES = 2, FIXED32 = 5
const WIRE: Readonly<Record<string, number>> = { uint32: VARINT, uint64: VARINT, bool: VARINT, double: FIXED64, float: FIXED32 }
const wireOf = (type: string): number => WIRE[type] ?? BYTES

/** Messages within messages: ours go two deep, a hostile one without end. */
const MAX_DEPTH = 16

/** Values: number (uint32, float, double), bigint or number (uint64), boolean, string, Buffer, or an object for a nested message. Undefined ones are left out. */
export function encode(messages: Messages, name: string, message: Fields): Buffer {
  const out: Buffer[] = []
  for (const field of messages[name] ?? []) {
    const value = message[field.name]
    if (value === undefined) continue
    for (const one of field.repeated ? (value as readonly unknown[]) : [value]) out.push(varint(BigInt((field.number << 3) | wireOf(field.type))), encodeValue(messages, field.type, one))
  }
  return Buffer.concat(out)
}

function encodeValue(messages: Messages, type: string, value: unknown): Buffer {
  if (type === 'float' || type === 'double') {
    const out = Buffer.alloc(type === 'float' ? 4 : 8)
    if (type === 'float') out.writeFloatLE(Number(value))
    else out.writeDoubleLE(Number(value))
    return out
  }
  if (type === 'bool') return varint(value === true ? 1n : 0n)
  if (type === 'uint32' || type === 'uint64') return varint(typeof value === 'bigint' ? value : BigInt(Math.trunc(Number(value))))
  const bytes = type === 'string' ? Buffer.from(String(value)) : type === 'bytes' ? (value as Buffer) : encode(messages, type, value as Fields)
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

/** uint64 comes back as bigint. Unknown fields are stepped over. Throws RangeError for bytes that are cut short or wrong, or nested too deep. */
export function decode(messages: Messages, name: string, bytes: Buffer, depth = 0): Fields {
  if (depth > MAX_DEPTH) throw new RangeError(`nested deeper than ${MAX_DEPTH} messages`)
  const message: Record<string, unknown> = {}
  const reader = new Reader(bytes)
  while (!reader.done) {
    const tag = Number(reader.varint())
    const field = messages[name]?.find(f => f.number === tag >>> 3)
    const raw = reader.value(tag & 7)
    if (!field || wireOf(field.type) !== (tag & 7)) continue
    const value = decodeValue(messages, field.type, raw, depth)
    if (!field.repeated) message[field.name] = value
    else (message[field.name] ??= [] as unknown[]) && (message[field.name] as unknown[]).push(value)
  }
  return message
}

function decodeValue(messages: Messages, type: string, raw: bigint | Buffer, depth: number): unknown {
  if (typeof raw === 'bigint') return type === 'bool' ? raw !== 0n : type === 'uint32' ? Number(BigInt.asUintN(32, raw)) : raw
  if (type === 'float') return raw.readFloatLE()
  if (type === 'double') return raw.readDoubleLE()
  if (type === 'string') return raw.toString('utf8')
  return type === 'bytes' ? raw : decode(messages, type, raw, depth + 1)
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
