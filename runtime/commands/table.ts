import { z } from 'zod'
import type { DeviceApi } from './device-api.js'

export interface Command {
  readonly args: z.ZodType
  /** How long it may take, ms. */
  readonly limitMs: number
  /** Done twice it does harm: its id is remembered on disk before it is carried out. */
  readonly once?: boolean
  /** With `args` as the schema gave them. */
  run(api: DeviceApi, args: unknown, signal: AbortSignal): Promise<unknown>
}

const none = z.strictObject({})
const words = z.strictObject({ text: z.string().trim().min(1).max(1_000) })
/** What one answer may carry, bytes: under what operators' tools show at once, and far under the broker's limit. */
const MAX_LOG = 32 * 1024

/** The schema and the function agree on `A`; outside, only the schema's own output is ever given to the function. */
const command = <A>(limitMs: number, args: z.ZodType<A>, run: (api: DeviceApi, args: A, signal: AbortSignal) => Promise<unknown>, once = false): Command =>
  ({ args, limitMs, once, run: (api, checked, signal) => run(api, checked as A, signal) })

/** Every command there is, by the last level of its topic. */
export const COMMANDS = {
  say: command(5_000, words, (api, { text }, signal) => api.say(text, signal)),
  ask: command(5_000, words, (api, { text }, signal) => api.ask(text, signal)),
  stop: command(1_000, none, async api => api.stop()),
  volume: command(2_000, z.strictObject({ volume: z.number().min(0).max(1) }), (api, { volume }) => api.setVolume(volume)),
  mute: command(2_000, z.strictObject({ muted: z.boolean() }), (api, { muted }) => api.setMute(muted)),
  snapshot: command(5_000, none, api => api.snapshot()),
  restart: command(5_000, z.strictObject({ reason: z.string().max(200).default('asked for') }), (api, { reason }) => api.restart(reason), true),
  logs: command(5_000, z.strictObject({ lines: z.number().int().min(1).max(500).default(100) }), async (api, { lines }) => bounded(await api.logs(lines))),
  'bundle-use': command(60_000, z.strictObject({ name: z.string().regex(/^[A-Za-z0-9._-]{1,80}$/) }), (api, { name }, signal) => api.useBundle(name, signal), true),
  'config-get': command(5_000, none, api => api.config()),
} as const

export function findCommand(name: string): Command | undefined {
  return Object.hasOwn(COMMANDS, name) ? COMMANDS[name as keyof typeof COMMANDS] : undefined
}

/** The newest lines that fit. */
function bounded(lines: readonly string[]): { lines: string[]; left: number } {
  const kept: string[] = []
  let bytes = 0
  for (const line of [...lines].reverse()) {
    const text = redact(line.slice(0, 2_000))
    bytes += Buffer.byteLength(text) + 4
    if (bytes > MAX_LOG) break
    kept.unshift(text)
  }
  return { lines: kept, left: lines.length - kept.length }
}

/** A second look, should a driver have logged what it should not: values of secret keys, what was said or heard, and bearer tokens. */
export function redact(line: string): string {
  return line
    .replace(/("(?:password|passwd|token|secret|key|text|heard|words|audio|samples)"\s*:\s*)("(?:[^"\\]|\\.)*"|\[[^\]]*\])/gi, '$1"[hidden]"')
    .replace(/\b(password|token|secret|bearer)([=: ]+)\S+/gi, '$1$2[hidden]')
    .replace(/-----BEGIN [\s\S]*/, '[hidden]')
}
