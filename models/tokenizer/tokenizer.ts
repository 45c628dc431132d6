import { readFile } from 'node:fs/promises'
import { ParleyError } from '../../base/errors.js'
import { digitGroups } from './digits.js'

/** Marks the beginning of a word inside a piece. */
export const WORD = '▁'
/** Words in a conversation repeat; this many keep their pieces at hand. The oldest goes. */
const KNOWN_WORDS = 2_000
const MAX_PIECES = 1_000_000

/** Text to piece numbers and back, as models/README.md says: byte-pair letters, digits in groups of two, specials in `<…>`. */
export class Tokenizer {
  readonly pieces: readonly string[]
  readonly #ids = new Map<string, number>()
  readonly #ranks = new Map<string, number>()
  readonly #known = new Map<string, readonly number[]>()

  constructor(pieces: readonly string[], merges: readonly (readonly [string, string])[]) {
    this.pieces = pieces
    pieces.forEach((piece, id) => this.#ids.set(piece, id))
    merges.forEach(([a, b], rank) => this.#ranks.set(`${a} ${b}`, rank)) // no piece has a space
  }

  /** Throws `tokenizer-bad` with what is wrong. */
  static parse(json: string, where = 'tokenizer.json'): Tokenizer {
    let data: unknown
    try {
      data = JSON.parse(json)
    } catch (error) {
      throw new ParleyError('tokenizer-bad', `${where} is not JSON`, { cause: error })
    }
    const { pieces, merges } = (typeof data === 'object' && data !== null ? data : {}) as Record<string, unknown>
    if (!Array.isArray(pieces) || pieces.length < 1 || pieces.length > MAX_PIECES || !pieces.every(p => typeof p === 'string' && p !== '')) {
      throw new ParleyError('tokenizer-bad', `${where}: pieces: expected a list of texts`)
    }
    if (new Set(pieces).size !== pieces.length) throw new ParleyError('tokenizer-bad', `${where}: pieces: one stands twice`)
    if (!Array.isArray(merges) || !merges.every(m => Array.isArray(m) && m.length === 2 && m.every(p => typeof p === 'string'))) {
      throw new ParleyError('tokenizer-bad', `${where}: merges: expected pairs of texts`)
    }
    return new Tokenizer(pieces as string[], merges as [string, string][])
  }

  static async load(path: string): Promise<Tokenizer> {
    return Tokenizer.parse(await readFile(path, 'utf8'), path)
  }

  get size(): number {
    return this.pieces.length
  }

  /** The number of exactly this piece, or undefined. */
  id(piece: string): number | undefined {
    return this.#ids.get(piece)
  }

  isSpecial(id: number): boolean {
    return isSpecial(this.pieces[id] ?? '<>')
  }

  /** What the piece adds to a text: a leading space where a word begins, nothing for specials. */
  textOf(id: number): string {
    const piece = this.pieces[id]
    return piece === undefined || isSpecial(piece) ? '' : piece.replaceAll(WORD, ' ')
  }

  encode(text: string): number[] {
    const ids: number[] = []
    for (const word of text.toLowerCase().split(/\s+/)) if (word) ids.push(...this.#word(word))
    return ids
  }

  decode(ids: readonly number[]): string {
    return ids.map(id => this.textOf(id)).join('').trim()
  }

  #word(word: string): readonly number[] {
    const known = this.#known.get(word)
    if (known) return known
    const groups = digitGroups(word)
    const parts = groups ? [WORD + groups[0], ...groups.slice(1)] : this.#merge([WORD, ...word])
    const ids = parts.map(p => this.#ids.get(p)).filter(id => id !== undefined)
    if (this.#known.size >= KNOWN_WORDS) this.#known.delete(this.#known.keys().next().value as string)
    this.#known.set(word, ids)
    return ids
  }

  /** Joins, again and again, the pair of the best rank (the leftmost of equals). */
  #merge(parts: string[]): string[] {
    while (parts.length > 1) {
      let best = Infinity
      let at = -1
      for (let i = 0; i + 1 < parts.length; i++) {
        const rank = this.#ranks.get(`${parts[i]} ${parts[i + 1]}`) ?? Infinity
        if (rank < best) [best, at] = [rank, i]
      }
      if (at < 0) break
      parts.splice(at, 2, `${parts[at]}${parts[at + 1]}`)
    }
    return parts
  }
}

export function isSpecial(piece: string): boolean {
  return piece.length > 2 && piece.startsWith('<') && piece.endsWith('>')
}
