import { createHash } from 'node:crypto'
import { mkdir, readFile, rm, stat, utimes } from 'node:fs/promises'
import { join } from 'node:path'
import { writeFileAtomic } from '../../base/files.js'
import { keepNewest } from '../../base/keep-newest.js'

/** A device has one set of facts, and now and then a new one; 40 facts of a model of pico's size are 4 MB. */
const MAX_ENTRIES = 8
/** Larger sets are read anew: reading, checking and writing them would no longer be a matter of ms. */
const MAX_BYTES = 64 * 2 ** 20
const SUFFIX = '.facts'
const HASH_BYTES = 32

/** What the keys and values of facts hang on: with the tokens, all of it. */
export interface FactSource {
  /** sha256 of the graph's file. */
  readonly graph: string
  /** Another provider is another arithmetic. */
  readonly provider: string
  /** Floats that one token has in the memory: keys and values of all layers. */
  readonly floatsPerToken: number
}

/**
 * Keys and values of facts that were read before, so that a start with the same facts does not run a step for each token.
 * An entry is [sha256 of the rest][floats], named by the hash of its source and tokens. One that is damaged is removed; a folder
 * that cannot be read or written costs time and nothing else: nothing here throws.
 */
export class FactCache {
  readonly #folder: string
  readonly #source: FactSource

  constructor(folder: string, source: FactSource) {
    this.#folder = folder
    this.#source = source
  }

  /** The floats of `tokens`, token by token, if they are known. */
  async find(tokens: readonly number[]): Promise<Float32Array | undefined> {
    const path = this.#path(tokens)
    const bytes = HASH_BYTES + tokens.length * this.#source.floatsPerToken * Float32Array.BYTES_PER_ELEMENT
    try {
      if ((await stat(path)).size === bytes) {
        const data = await readFile(path)
        const rest = data.subarray(HASH_BYTES)
        if (sha256(rest).equals(data.subarray(0, HASH_BYTES))) {
          const now = new Date()
          await utimes(path, now, now).catch(() => {}) // a read-only folder: then it is removed earlier than it could be
          return floatsOf(rest)
        }
      }
      await rm(path, { force: true })
    } catch {
      return undefined // not there, or not readable
    }
    return undefined
  }

  async keep(tokens: readonly number[], floats: Float32Array): Promise<void> {
    if (floats.byteLength > MAX_BYTES) return
    const rest = Buffer.from(floats.buffer, floats.byteOffset, floats.byteLength)
    try {
      await mkdir(this.#folder, { recursive: true, mode: 0o700 })
      await writeFileAtomic(this.#path(tokens), Buffer.concat([sha256(rest), rest]), 0o600)
      await keepNewest(this.#folder, SUFFIX, MAX_ENTRIES)
    } catch {
      return // no folder, no room: read anew next time
    }
  }

  #path(tokens: readonly number[]): string {
    const { graph, provider, floatsPerToken } = this.#source
    return join(this.#folder, createHash('sha256').update(JSON.stringify([graph, provider, floatsPerToken, tokens])).digest('hex') + SUFFIX)
  }
}

function sha256(bytes: Uint8Array): Buffer {
  return createHash('sha256').update(bytes).digest()
}

/** A copy, because a file's bytes need not stand where floats may. */
function floatsOf(bytes: Buffer): Float32Array {
  const floats = new Float32Array(bytes.length / Float32Array.BYTES_PER_ELEMENT)
  new Uint8Array(floats.buffer).set(bytes)
  return floats
}
