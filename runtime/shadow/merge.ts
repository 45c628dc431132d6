/** What JSON can say. */
export type Json = null | boolean | number | string | readonly Json[] | { readonly [key: string]: Json }
export type JsonObject = { readonly [key: string]: Json }

export const isObject = (value: unknown): value is JsonObject => typeof value === 'object' && value !== null && !Array.isArray(value)

/** JSON Merge Patch (RFC 7396): objects are merged, `null` takes a key away, all else replaces. Changes neither argument. */
export function merge(base: Json | undefined, patch: Json): Json {
  if (!isObject(patch)) return patch
  const out: Record<string, Json> = Object.assign(Object.create(null), isObject(base) ? base : {})
  for (const [key, value] of Object.entries(patch)) {
    if (value === null) delete out[key]
    else out[key] = merge(Object.hasOwn(out, key) ? out[key] : undefined, value)
  }
  return { ...out }
}

/** Every leaf of a document as `a.b.c`. An empty object is a leaf. */
export function paths(value: Json, prefix = ''): string[] {
  if (!isObject(value) || (Object.keys(value).length === 0 && prefix)) return prefix ? [prefix] : []
  return Object.entries(value).flatMap(([key, v]) => paths(v, prefix ? `${prefix}.${key}` : key))
}

export function valueAt(value: Json | undefined, path: string): Json | undefined {
  return path.split('.').reduce<Json | undefined>((at, key) => (isObject(at) && Object.hasOwn(at, key) ? at[key] : undefined), value)
}

/** `playout.volume` is under `playout` and under itself. */
export const isUnder = (path: string, allowed: readonly string[]): boolean => allowed.some(a => path === a || path.startsWith(`${a}.`))

/** Nesting beyond this is no configuration; it would only cost the stack. */
export function depth(value: Json): number {
  return typeof value === 'object' && value !== null ? 1 + Math.max(0, ...Object.values(value).map(depth)) : 0
}
