import { readFileSync, readdirSync } from 'node:fs'

/** Kernel ticks a second (`getconf CLK_TCK`), 100 on every Linux that Node runs on. */
const CLOCK_TICKS = 100

export interface Usage {
  readonly processes: number
  readonly rssMb: number
  /** Processor time since their starts, s. */
  readonly cpuS: number
}

/** A process and all below it: memory and processor time. Source: proc(5). */
export function usageOf(root: number): Usage {
  const children = new Map<number, number[]>()
  const stats = new Map<number, { cpuS: number }>()
  for (const name of readdirSync('/proc').filter(n => /^\d+$/.test(n))) {
    try {
      const stat = readFileSync(`/proc/${name}/stat`, 'utf8')
      const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ')
      const parent = Number(fields[1])
      children.set(parent, [...(children.get(parent) ?? []), Number(name)])
      stats.set(Number(name), { cpuS: (Number(fields[11]) + Number(fields[12])) / CLOCK_TICKS })
    } catch {
      continue // it ended while we looked
    }
  }
  let [processes, rssMb, cpuS] = [0, 0, 0]
  for (const open = [root]; open.length;) {
    const pid = open.pop() as number
    open.push(...(children.get(pid) ?? []))
    processes++
    cpuS += stats.get(pid)?.cpuS ?? 0
    rssMb += rssOf(pid)
  }
  return { processes, rssMb, cpuS }
}

function rssOf(pid: number): number {
  try {
    return Number(/VmRSS:\s+(\d+)/.exec(readFileSync(`/proc/${pid}/status`, 'utf8'))?.[1] ?? 0) / 1024
  } catch {
    return 0
  }
}
