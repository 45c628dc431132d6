import { ParleyError } from '../../base/errors.js'
import type { ToolArg } from '../bundle/schema.js'
import type { Tokenizer } from '../tokenizer/tokenizer.js'
import { Piece, type PieceClass } from './piece-classes.js'

/** A place inside one argument: which tokens may follow, and whether the argument may end here. */
export interface Place {
  /** Equal places of one argument have equal keys. */
  readonly key: string
  readonly done: boolean
  next(token: number): Place | undefined
}

/** The place before the first token of an argument. */
export function beginArgument(arg: ToolArg, tokenizer: Tokenizer, classes: readonly PieceClass[]): Place {
  if (arg.type === 'enum') return enumTrie(arg.values, tokenizer)
  if (arg.type === 'words') return new WordsPlace(classes, arg.maxPieces, 0, Piece.Other)
  return new NumberPlace({ classes, ...arg, point: tokenizer.id('.') ?? -1 }, undefined, '')
}

class TriePlace implements Place {
  readonly key: string
  readonly children = new Map<number, TriePlace>()
  done = false

  constructor(key: string) {
    this.key = key
  }

  next(token: number): Place | undefined {
    return this.children.get(token)
  }
}

function enumTrie(values: readonly string[], tokenizer: Tokenizer): Place {
  const root = new TriePlace('')
  for (const value of values) {
    const ids = tokenizer.encode(value)
    if (tokenizer.decode(ids) !== value) throw new ParleyError('bundle-bad', `the tokenizer cannot write the argument value ${JSON.stringify(value)}`)
    let at = root
    for (const id of ids) {
      let child = at.children.get(id)
      if (!child) at.children.set(id, child = new TriePlace(`${at.key},${id}`))
      at = child
    }
    at.done = true
  }
  return root
}

/** Words as the tokenizer writes them: each begins with its mark, digits stay digits, nothing ends in the middle. */
class WordsPlace implements Place {
  readonly key: string
  readonly done: boolean
  readonly #classes: readonly PieceClass[]
  readonly #left: number
  readonly #count: number
  readonly #last: Piece

  constructor(classes: readonly PieceClass[], left: number, count: number, last: Piece) {
    this.#classes = classes
    this.#left = left
    this.#count = count
    this.#last = last
    this.key = `${count}${last}`
    this.done = last === Piece.Letters || last === Piece.Digits
  }

  next(token: number): Place | undefined {
    const piece = this.#classes[token]
    if (!piece || piece.kind === Piece.Other || this.#left === 0) return undefined
    const { kind, begins } = piece
    const opens = kind === Piece.Bare || kind === Piece.Mark // something must still follow it
    if (opens && this.#left === 1) return undefined
    const goesOn = this.#last === Piece.Bare ? kind === Piece.Letters
      : this.#last === Piece.Letters ? kind === Piece.Letters || kind === Piece.Digits
      : this.#last === Piece.Digits ? kind === Piece.Digits || kind === Piece.Mark
      : this.#last === Piece.Mark && kind === Piece.Digits
    const starts = this.#count === 0 || this.done
    if (begins ? !starts : !goesOn) return undefined
    return new WordsPlace(this.#classes, this.#left - 1, this.#count + 1, kind)
  }
}

interface NumberRange {
  readonly classes: readonly PieceClass[]
  readonly min: number
  readonly max: number
  readonly decimals: number
  /** The piece `.`. */
  readonly point: number
}

/** A number in groups of two digits: `▁1 25` is 125, `▁2 . 50` is 2.50. Only prefixes of a number in the range are let through. */
class NumberPlace implements Place {
  readonly key: string
  readonly done: boolean
  readonly #range: NumberRange
  readonly #value: number | undefined
  /** What stands after the whole part: nothing, the point, or the point and digits. */
  readonly #fraction: string

  constructor(range: NumberRange, value: number | undefined, fraction: string) {
    this.#range = range
    this.#value = value
    this.#fraction = fraction
    this.key = `${value}${fraction}`
    this.done = value !== undefined && value >= range.min && value <= range.max && fraction !== '.'
  }

  next(token: number): Place | undefined {
    const range = this.#range
    const value = this.#value
    // below the max, so that no fraction can lead over it
    if (token === range.point) return value !== undefined && this.done && !this.#fraction && range.decimals > 0 && value < range.max ? new NumberPlace(range, value, '.') : undefined
    const piece = range.classes[token]
    if (piece?.kind !== Piece.Digits) return undefined
    const { digits, begins } = piece
    if (value === undefined) {
      const first = Number(digits)
      if (!begins || (digits.startsWith('0') && digits !== '0')) return undefined
      return canReach(first, range) ? new NumberPlace(range, first, '') : undefined
    }
    if (begins) return undefined
    if (this.#fraction) return this.#fraction === '.' && digits.length <= range.decimals ? new NumberPlace(range, value, `.${digits}`) : undefined
    if (digits.length !== 2 || value === 0) return undefined
    const longer = value * 100 + Number(digits)
    return canReach(longer, range) ? new NumberPlace(range, longer, '') : undefined
  }
}

/** Whether `value`, or it with more groups of two digits, lies in the range. */
function canReach(value: number, { min, max }: NumberRange): boolean {
  for (let low = value, high = value; low <= max; low *= 100, high = high * 100 + 99) {
    if (high >= min) return true
    if (value === 0) return false // a number that begins with 0 is 0
  }
  return false
}
