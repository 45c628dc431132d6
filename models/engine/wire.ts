import { ParleyError } from '../../base/errors.js'
import type { Provider } from '../ladder/backend.js'
import type { Refusal } from '../ladder/ladder.js'
import type { Said } from '../session.js'
import type { StepSpec } from './step-spec.js'
import type { Telling } from './text-channel.js'

/**
 * All that parent and child say to each other. A frame is [u32 length][u8 type][fields], little-endian; `FRAMES` below is the
 * only description of the fields, and both directions of both sides are made from it.
 */
export type Message =
  // parent to child
  | { type: 'open'; spec: StepSpec }
  | { type: 'step'; id: number; at: number; audio: Float32Array }
  | { type: 'facts'; id: number; lines: readonly string[]; passing: readonly string[] }
  | { type: 'tell'; line: string; kind: Telling }
  | { type: 'reset'; id: number }
  | { type: 'cancel'; id: number }
  | { type: 'ping'; id: number }
  // child to parent
  | { type: 'trying'; provider: Provider }
  | { type: 'ready'; provider: Provider; precision: string; refusals: readonly Refusal[] }
  | { type: 'said'; id: number; finished: number; said: Said }
  | { type: 'done'; id: number }
  | { type: 'cancelled'; id: number }
  | { type: 'failed'; id: number; code: string; message: string; hint: string }
  | { type: 'alive' }

/** A step of sound is 5 KB; a specification may have thousands of states. Longer is not one of ours. */
export const MAX_FRAME_BYTES = 8 * 2 ** 20

type FieldKind = 'u32' | 'f64' | 'text' | 'floats' | 'said' | 'json'

/** Order is the wire's order. Only append: the place in the list is the type's number. */
const FRAMES: readonly (readonly [Message['type'], Readonly<Record<string, FieldKind>>])[] = [
  ['open', { spec: 'json' }],
  ['step', { id: 'u32', at: 'f64', audio: 'floats' }],
  ['facts', { id: 'u32', lines: 'json', passing: 'json' }],
  ['tell', { line: 'text', kind: 'text' }],
  ['reset', { id: 'u32' }],
  ['cancel', { id: 'u32' }],
  ['ping', { id: 'u32' }],
  ['trying', { provider: 'text' }],
  ['ready', { provider: 'text', precision: 'text', refusals: 'json' }],
  ['said', { id: 'u32', finished: 'u32', said: 'said' }],
  ['done', { id: 'u32' }],
  ['cancelled', { id: 'u32' }],
  ['failed', { id: 'u32', code: 'text', message: 'text', hint: 'text' }],
  ['alive', {}],
]
const NUMBERS = new Map(FRAMES.map(([type], number) => [type, number]))

export function encodeFrame(message: Message): Buffer {
  const number = NUMBERS.get(message.type) as number
  const out = new FrameWriter(number)
  const values = message as unknown as Record<string, unknown>
  for (const [name, kind] of Object.entries((FRAMES[number] as (typeof FRAMES)[number])[1])) WRITE[kind](out, values[name])
  return out.finish()
}

/** One frame without its length. Throws `wire-bad`. */
export function decodeFrame(frame: Buffer): Message {
  const known = FRAMES[frame[0] ?? -1]
  if (!known) throw wireBad(`there is no message ${frame[0]}`)
  const [type, fields] = known
  const input = new FrameReader(frame)
  const message: Record<string, unknown> = { type }
  for (const [name, kind] of Object.entries(fields)) message[name] = READ[kind](input)
  if (input.left !== 0) throw wireBad(`${type} has ${input.left} bytes too many`)
  return message as unknown as Message
}

const WRITE: Record<FieldKind, (out: FrameWriter, value: unknown) => void> = {
  u32: (out, value) => out.u32(value as number),
  f64: (out, value) => out.f64(value as number),
  text: (out, value) => out.bytes(Buffer.from(value as string, 'utf8')),
  floats: (out, value) => out.floats(value as Float32Array),
  json: (out, value) => out.bytes(Buffer.from(JSON.stringify(value), 'utf8')),
  said: (out, value) => {
    const { at, stepMs, speech, ...words } = value as Said
    out.f64(at)
    out.f64(stepMs)
    out.floats(speech ?? NO_FLOATS)
    // most ticks say nothing at all
    out.bytes(words.text || words.heard || words.call || words.style || words.mark ? Buffer.from(JSON.stringify(words), 'utf8') : NO_BYTES)
  },
}

const READ: Record<FieldKind, (input: FrameReader) => unknown> = {
  u32: input => input.u32(),
  f64: input => input.f64(),
  text: input => input.bytes().toString('utf8'),
  floats: input => input.floats(),
  json: input => parse(input.bytes()),
  said: input => {
    const at = input.f64()
    const stepMs = input.f64()
    const speech = input.floats()
    const words = input.bytes()
    return { at, text: '', heard: '', ...(words.length ? parse(words) as object : {}), speech: speech.length ? speech : undefined, stepMs }
  },
}

const NO_FLOATS = new Float32Array(0)
const NO_BYTES = Buffer.alloc(0)

function parse(bytes: Buffer): unknown {
  try {
    return JSON.parse(bytes.toString('utf8'))
  } catch (cause) {
    throw wireBad('a field is not JSON', cause)
  }
}

class FrameWriter {
  readonly #parts: Buffer[]
  #length = 1

  constructor(number: number) {
    this.#parts = [Buffer.alloc(4), Buffer.from([number])]
  }

  u32(value: number): void {
    const bytes = Buffer.allocUnsafe(4)
    bytes.writeUInt32LE(value >>> 0)
    this.#add(bytes)
  }

  f64(value: number): void {
    const bytes = Buffer.allocUnsafe(8)
    bytes.writeDoubleLE(value)
    this.#add(bytes)
  }

  bytes(value: Buffer): void {
    this.u32(value.length)
    this.#add(value)
  }

  floats(value: Float32Array): void {
    this.u32(value.length)
    this.#add(Buffer.from(value.buffer, value.byteOffset, value.byteLength))
  }

  finish(): Buffer {
    if (this.#length > MAX_FRAME_BYTES) throw wireBad(`a message of ${this.#length} bytes is too long`)
    this.#parts[0]?.writeUInt32LE(this.#length)
    return Buffer.concat(this.#parts)
  }

  #add(bytes: Buffer): void {
    this.#parts.push(bytes)
    this.#length += bytes.length
  }
}

class FrameReader {
  readonly #frame: Buffer
  #at = 1

  constructor(frame: Buffer) {
    this.#frame = frame
  }

  get left(): number {
    return this.#frame.length - this.#at
  }

  u32(): number {
    return this.#take(4).readUInt32LE()
  }

  f64(): number {
    return this.#take(8).readDoubleLE()
  }

  bytes(): Buffer {
    return this.#take(this.u32())
  }

  /** A copy: the bytes on the wire need not stand where floats may. */
  floats(): Float32Array {
    const bytes = this.#take(this.u32() * 4)
    const floats = new Float32Array(bytes.length / 4)
    new Uint8Array(floats.buffer).set(bytes)
    return floats
  }

  #take(length: number): Buffer {
    if (length > this.left) throw wireBad('a message is cut short')
    this.#at += length
    return this.#frame.subarray(this.#at - length, this.#at)
  }
}

/** Cuts a stream of bytes into messages, however they come. */
export class FrameSplitter {
  #pending: Buffer = NO_BYTES

  /** Throws `wire-bad`; after that the stream is lost. */
  push(chunk: Buffer): Message[] {
    this.#pending = this.#pending.length ? Buffer.concat([this.#pending, chunk]) : chunk
    const messages: Message[] = []
    while (this.#pending.length >= 4) {
      const length = this.#pending.readUInt32LE(0)
      if (length < 1 || length > MAX_FRAME_BYTES) throw wireBad(`a message claims ${length} bytes`)
      if (this.#pending.length < 4 + length) break
      messages.push(decodeFrame(this.#pending.subarray(4, 4 + length)))
      this.#pending = this.#pending.subarray(4 + length)
    }
    return messages
  }
}

function wireBad(reason: string, cause?: unknown): ParleyError {
  return new ParleyError('wire-bad', `the model's process said something that cannot be read: ${reason}`, cause === undefined ? {} : { cause })
}
