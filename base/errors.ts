/** An error that a person can act on: `code` for programs, `hint` says what to do. Always keeps its cause. */
export class ParleyError extends Error {
  readonly code: string
  readonly hint: string | undefined

  constructor(code: string, message: string, options: { hint?: string; cause?: unknown } = {}) {
    super(message, options.cause === undefined ? undefined : { cause: options.cause })
    this.name = 'ParleyError'
    this.code = code
    this.hint = options.hint
  }
}

/** The message of anything thrown, with its chain of causes on one line. */
export function describe(error: unknown): string {
  if (!(error instanceof Error)) return String(error)
  const cause = error.cause === undefined ? '' : ` (because: ${describe(error.cause)})`
  const hint = error instanceof ParleyError && error.hint ? `. ${error.hint}` : ''
  return `${error.message}${hint}${cause}`
}

/** Node's error code of a failed system call, if it has one. */
export function systemCode(error: unknown): string | undefined {
  return error instanceof Error && 'code' in error && typeof error.code === 'string' ? error.code : undefined
}

export const isMissing = (error: unknown): boolean => systemCode(error) === 'ENOENT'
