import { z } from 'zod'

const clockTime = z.string().regex(/^([01]\d|2[0-3]):[0-5]\d$/, 'a time of day such as 02:30')

/** `[update]` of the configuration. */
export const updateSettings = z.strictObject({
  /** Where releases come from: `https://…`, a folder, or nothing: then never. */
  from: z.string().optional(),
  /** PEM file of the authorities of that server, or of the hawkBit server, trusted in place of the public ones. */
  ca: z.string().regex(/^\//, 'an absolute path of a file').optional(),
  /** `job`: a release is begun only when a job of the fleet asks for it (staged rollouts). */
  by: z.enum(['timer', 'job']).default('timer'),
  /** An Eclipse hawkBit server that says when, and hands the files out instead of `from`. */
  hawkbit: z.strictObject({
    /** `https://server/TENANT/controller/v1/DEVICE` */
    url: z.string().regex(/^https?:\/\/\S+\/controller\/v1\/[^\s/]+$/, 'https://server/TENANT/controller/v1/DEVICE'),
    /** Holds the token and nothing else; root's own, mode 0600. */
    tokenFile: z.string().min(1),
    tokenKind: z.enum(['TargetToken', 'GatewayToken']).default('TargetToken'),
  }).optional(),
  channel: z.string().regex(/^[a-z0-9-]{1,32}$/).default('stable'),
  /** Local time; may go over midnight. Without it an update is switched to at any quiet moment. */
  window: z.strictObject({ from: clockTime, to: clockTime }).optional(),
  /** Nobody has talked for so long before the switch, and again before the commit, minutes. */
  quietMinutes: z.number().min(0).max(240).default(10),
  /** The broker must be reached in this time; after it a good self-test is enough (a site without network), minutes. */
  brokerGraceMinutes: z.number().min(0).max(1440).default(60),
  /** A trial that is not decided by then is undone, minutes. */
  trialLimitMinutes: z.number().min(1).max(2880).default(240),
  /** Left free on the disk after staging, MB: logs and telemetry go on. */
  reserveMegabytes: z.number().min(0).default(128),
})
export type UpdateSettings = z.infer<typeof updateSettings>

/** What the runtime says about itself, from outside its process. */
export interface Observation {
  /** Which release says so; an old report must not pass the new one. */
  readonly release: string | undefined
  /** The golden utterance was heard and answered. */
  readonly selfTest: 'passed' | 'failed' | 'pending'
  readonly broker: 'reached' | 'pending'
  /** Since the last talk and the last restart, ms. */
  readonly quietMs: number
  /** Since the last talk alone, ms: a release that restarts for ever is one that an update must reach. */
  readonly silentMs: number
}

export type Verdict = { readonly do: 'commit' } | { readonly do: 'roll-back'; readonly reason: string } | { readonly do: 'wait'; readonly for: string }

const MINUTE = 60_000

export function judge(seen: Observation, release: string, trialMs: number, settings: UpdateSettings): Verdict {
  const own = seen.release === release
  if (own && seen.selfTest === 'failed') return { do: 'roll-back', reason: 'the golden utterance was not answered' }
  const left = !own || seen.selfTest === 'pending' ? 'the self-test'
    : seen.broker === 'pending' && trialMs < settings.brokerGraceMinutes * MINUTE ? 'the broker'
    : seen.quietMs < settings.quietMinutes * MINUTE ? `${settings.quietMinutes} quiet minutes`
    : undefined
  if (left === undefined) return { do: 'commit' }
  if (trialMs > settings.trialLimitMinutes * MINUTE) return { do: 'roll-back', reason: `after ${settings.trialLimitMinutes} minutes it still waited for ${left}` }
  return { do: 'wait', for: left }
}

/** `at`: local time. */
export function inWindow(window: UpdateSettings['window'], at: Date): boolean {
  if (!window) return true
  const minutes = (text: string): number => Number(text.slice(0, 2)) * 60 + Number(text.slice(3))
  const [now, from, to] = [at.getHours() * 60 + at.getMinutes(), minutes(window.from), minutes(window.to)]
  return from <= to ? now >= from && now < to : now >= from || now < to
}
