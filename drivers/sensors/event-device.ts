import { closeSync, constants, openSync, readSync } from 'node:fs'
import { systemCode } from '../../base/errors.js'

/** `struct input_event` on 64-bit Linux: two 8-byte times, type u16, code u16, value s32 (linux/input.h). */
const EVENT_BYTES = 24
const EV_KEY = 1

/** 1 = pressed, 0 = released, 2 = repeats. */
export interface Key {
  readonly code: number
  readonly value: number
}

/**
 * A Linux input device, read without ever waiting: a waiting read would hold one of Node's four pool threads for good
 * and could not be closed.
 */
export class EventDevice {
  readonly #path: string
  #fd: number | undefined
  #rest = Buffer.alloc(0)

  constructor(path: string) {
    this.#path = path
  }

  /** The key events since the last call. Opens the device when it is not open; throws the system's error when it is gone. */
  keys(): Key[] {
    this.#fd ??= openSync(this.#path, constants.O_RDONLY | constants.O_NONBLOCK)
    const chunk = Buffer.alloc(64 * EVENT_BYTES)
    let length = 0
    try {
      length = readSync(this.#fd, chunk)
    } catch (error) {
      if (systemCode(error) === 'EAGAIN') return []
      this.close() // unplugged: opened again, under the same stable path, by the next call
      throw error
    }
    const bytes = Buffer.concat([this.#rest, chunk.subarray(0, length)])
    const keys: Key[] = []
    let at = 0
    for (; at + EVENT_BYTES <= bytes.length; at += EVENT_BYTES) {
      if (bytes.readUInt16LE(at + 16) === EV_KEY) keys.push({ code: bytes.readUInt16LE(at + 18), value: bytes.readInt32LE(at + 20) })
    }
    this.#rest = bytes.subarray(at)
    return keys
  }

  close(): void {
    if (this.#fd === undefined) return
    closeSync(this.#fd)
    this.#fd = undefined
    this.#rest = Buffer.alloc(0)
  }
}
