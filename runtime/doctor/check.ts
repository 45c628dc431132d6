import { ParleyError, describe, systemCode } from '../../base/errors.js'
import type { Finding, Seen } from '../../base/finding.js'

export interface Check {
  readonly what: string
  /** Without it parley cannot do its job; otherwise its failure is a warning. */
  readonly needed: boolean
  /** Judged without the configuration: still looked at where that one cannot be read. */
  readonly always?: true
  look(): Promise<Seen>
}

/** One check may hang on a device; the others are still wanted, ms. */
const LIMIT_MS = 20_000
/** Much of a device is for root alone. */
const AS_ROOT = 'sudo parley doctor'
/** For what nobody foresaw. */
const AGAIN = 'parley doctor once more; if it stays: dmesg | tail, journalctl -b -p err, and the vendor'

export async function runCheck({ what, needed, look }: Check): Promise<Finding> {
  let timer: NodeJS.Timeout | undefined
  const late = new Promise<Seen>(resolve => {
    timer = setTimeout(() => resolve({ state: 'fail', seen: `no answer in ${LIMIT_MS} ms`, mend: AGAIN }), LIMIT_MS)
  })
  try {
    return { what, ...(await Promise.race([look(), late])) }
  } catch (error) {
    const state = needed ? 'fail' : 'warn'
    if (!(error instanceof ParleyError)) return { what, state, seen: oneLine(describe(error)), mend: nextStep(error) }
    return { what, state, seen: oneLine(error.message), mend: error.hint || nextStep(error.cause) }
  } finally {
    clearTimeout(timer)
  }
}

const nextStep = (error: unknown): string => (systemCode(error) === 'EACCES' ? AS_ROOT : AGAIN)

const oneLine = (text: string): string => text.replace(/\s+/g, ' ').trim().slice(0, 300)

/** 1.2 → `1.2`, 1500 → `1500`: as many digits as say something. */
export const figure = (value: number): string => (Math.abs(value) < 10 ? value.toFixed(1) : String(Math.round(value)))
