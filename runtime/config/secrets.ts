/** Names whose values are never shown, wherever they stand. */
const SECRET = /(^|_|\b)(password|passwd|token|secret|api_?key|private_?key|credential)s?$/i

export const HIDDEN = '[hidden]'

export const isSecret = (key: string): boolean => SECRET.test(key)

/** The same value without its secrets, to be shown. */
export function hideSecrets(value: unknown): unknown {
  if (Array.isArray(value)) return value.map(hideSecrets)
  if (typeof value !== 'object' || value === null) return value
  return Object.fromEntries(Object.entries(value).map(([key, v]) => [key, isSecret(key) && v !== undefined ? HIDDEN : hideSecrets(v)]))
}
