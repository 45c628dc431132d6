export type Coding = 'u8' | 's16' | 's24' | 's32' | 'f32' | 'f64'

export interface WavShape {
  readonly coding?: Coding
  readonly channels?: number
  readonly rate?: number
  readonly extensible?: boolean
  /** Bits that the header names, if not those of whole bytes. */
  readonly bits?: number
  /** The length that the data chunk claims, if not its own. */
  readonly claim?: number
  /** Format tag in place of the right one. */
  readonly tag?: number
  /** Chunks (name, length) before the format. */
  readonly before?: readonly (readonly [string, number])[]
}

/** A WAV file with the same sound in every channel, made apart from the code under test. */
export function wavBytes(mono: Float32Array, shape: WavShape = {}): Buffer {
  const { coding = 's16', channels = 1, rate = 16_000, extensible = false, before = [] } = shape
  const width = { u8: 1, s16: 2, s24: 3, s32: 4, f32: 4, f64: 8 }[coding]
  const tag = shape.tag ?? (coding === 'f32' || coding === 'f64' ? 3 : 1)
  const data = Buffer.alloc(mono.length * channels * width)
  mono.forEach((s, i) => {
    for (let c = 0; c < channels; c++) {
      const at = (i * channels + c) * width
      if (coding === 'u8') data.writeUInt8(Math.round(s * 127) + 128, at)
      else if (coding === 'f32') data.writeFloatLE(s, at)
      else if (coding === 'f64') data.writeDoubleLE(s, at)
      else data.writeIntLE(Math.round(s * (2 ** (8 * width - 1) - 1)), at, width)
    }
  })
  const format = Buffer.alloc(extensible ? 40 : 16)
  format.writeUInt16LE(extensible ? 0xfffe : tag, 0)
  format.writeUInt16LE(channels, 2)
  format.writeUInt32LE(rate, 4)
  format.writeUInt32LE((rate * channels * width) >>> 0, 8)
  format.writeUInt16LE(channels * width, 12)
  format.writeUInt16LE(shape.bits ?? width * 8, 14)
  if (extensible) {
    format.writeUInt16LE(22, 16)
    format.writeUInt16LE(width * 8, 18)
    format.writeUInt16LE(tag, 24)
    Buffer.from('000000001000800000aa00389b71', 'hex').copy(format, 26)
  }
  const chunks = [...before.map(([name, length]) => chunk(name, Buffer.alloc(length))), chunk('fmt ', format), chunk('data', data, shape.claim)]
  return Buffer.concat([chunk('RIFF', Buffer.from('WAVE')).subarray(0, 12), ...chunks])
}

function chunk(name: string, body: Buffer, claim = body.length): Buffer {
  const head = Buffer.alloc(8)
  head.write(name, 0, 'ascii')
  head.writeUInt32LE(claim, 4)
  return Buffer.concat([head, body, Buffer.alloc(body.length % 2)])
}
