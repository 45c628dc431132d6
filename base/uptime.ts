import { readFileSync } from 'node:fs'

/** Time since the machine started: the same in every process, and untouched by whoever sets the clock. */
export interface Uptime {
  /** Which start; the kernel's id of it. Ms of two starts must not be compared. */
  readonly boot: string
  readonly ms: number
}

/** For waits that are longer than a process; within one, `Clock.now`. */
export function uptime(): Uptime {
  return { boot: bootId(), ms: uptimeMs() }
}

/** CLOCK_MONOTONIC, which `performance.now` counts from the start of the process instead. */
export const uptimeMs = (): number => Number(process.hrtime.bigint() / 1_000_000n)

function bootId(): string {
  try {
    return readFileSync('/proc/sys/kernel/random/boot_id', 'utf8').trim()
  } catch {
    return '' // hidden by a sandbox: then a smaller time is another start
  }
}
