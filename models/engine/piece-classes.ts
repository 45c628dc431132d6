import { WORD, isSpecial, type Tokenizer } from '../tokenizer/tokenizer.js'

/** What a piece can be inside an argument of a call. */
export enum Piece { Other, Bare, Letters, Digits, Mark }

export interface PieceClass {
  readonly kind: Piece
  /** It begins a word. */
  readonly begins: boolean
  /** The digits of a Digits piece: one or two. */
  readonly digits: string
}

/** The class of each piece, by its number. */
export function classifyPieces(tokenizer: Tokenizer): readonly PieceClass[] {
  return tokenizer.pieces.map(piece => {
    const begins = piece.startsWith(WORD)
    const body = begins ? piece.slice(WORD.length) : piece
    const kind = isSpecial(piece) ? Piece.Other
      : body === '' ? Piece.Bare
      : /^[\p{Ll}']+$/u.test(body) ? Piece.Letters
      : /^[0-9]{1,2}$/.test(body) ? Piece.Digits
      : body === ':' || body === '.' ? (begins ? Piece.Other : Piece.Mark)
      : Piece.Other
    return { kind, begins, digits: kind === Piece.Digits ? body : '' }
  })
}
