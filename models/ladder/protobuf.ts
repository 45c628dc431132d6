/** Writes protocol buffers (https://protobuf.dev/programming-guides/encoding/): just what ONNX needs, so no generator is needed. */
export class ProtoWriter {
  readonly #parts: Uint8Array[] = []

  /** An integer field; negative numbers take ten bytes, as int64 does. */
  int(field: number, value: number | bigint): this {
    this.#parts.push(varint(field << 3), varint(value))
    return this
  }

  float(field: number, value: number): this {
    const bytes = Buffer.alloc(4)
    bytes.writeFloatLE(value)
    this.#parts.push(varint((field << 3) | 5), bytes)
    return this
  }

  bytes(field: number, value: Uint8Array): this {
    this.#parts.push(varint((field << 3) | 2), varint(value.length), value)
    return this
  }

  text(field: number, value: string): this {
    return this.bytes(field, Buffer.from(value, 'utf8'))
  }

  message(field: number, fill: (inner: ProtoWriter) => void): this {
    const inner = new ProtoWriter()
    fill(inner)
    return this.bytes(field, inner.finish())
  }

  finish(): Buffer {
    return Buffer.concat(this.#parts)
  }
}

function varint(value: number | bigint): Uint8Array {
  let rest = BigInt.asUintN(64, BigInt(value))
  const bytes: number[] = []
  do {
    const low = Number(rest & 0x7fn)
    rest >>= 7n
    bytes.push(rest ? low | 0x80 : low)
  } while (rest)
  return Uint8Array.from(bytes)
}

/** One field as it stands in the bytes. `value` is a number for wire types 0 and 5, the bytes for 2. */
export interface ProtoField {
  readonly field: number
  readonly value: bigint | number | Buffer
}

/** Reads one level of a message; throws RangeError on what is not a protocol buffer. */
export function readFields(bytes: Buffer): ProtoField[] {
  const fields: ProtoField[] = []
  let at = 0
  const next = (): bigint => {
    let value = 0n
    for (let shift = 0n; shift < 70n; shift += 7n) {
      if (at >= bytes.length) throw new RangeError('a number is cut short')
      const byte = bytes[at++] as number
      value |= BigInt(byte & 0x7f) << shift
      if (byte < 0x80) return value
    }
    throw new RangeError('a number is too long')
  }
  while (at < bytes.length) {
    const tag = Number(next())
    const field = tag >> 3
    const wire = tag & 7
    if (wire === 0) {
      fields.push({ field, value: BigInt.asIntN(64, next()) })
    } else if (wire === 2) {
      const length = Number(next())
      if (at + length > bytes.length) throw new RangeError(`field ${field} is cut short`)
      fields.push({ field, value: bytes.subarray(at, at + length) })
      at += length
    } else if (wire === 5) {
      fields.push({ field, value: bytes.readFloatLE(at) })
      at += 4
    } else {
      throw new RangeError(`field ${field} has wire type ${wire}`)
    }
  }
  return fields
}
