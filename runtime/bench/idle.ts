import { spawn } from 'node:child_process'
import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { systemClock } from '../../base/clock.js'
import { ParleyError } from '../../base/errors.js'
import { end } from '../../base/kill.js'
import { round } from '../conversation/statistics.js'
import { usageOf } from '../health/processes.js'

/** The cold start's bar is 1.5 s; a machine that needs ten has another trouble. */
const START_LIMIT_MS = 15_000
const SETTLE_MS = 2_000

export interface IdleBench {
  readonly sound: string
  /** From the start of the process to the first tick. */
  readonly coldStartMs: number | null
  readonly processes: number
  readonly rssMb: number | null
  /** Of one core, while nobody speaks. */
  readonly idleCpuPercent: number | null
}

/** Starts `parley run` as a person would, and looks at it while nothing is said. `config`: TOML. */
export async function benchIdle(main: string, bundle: string, config: string, sound: string, seconds: number, env: NodeJS.ProcessEnv): Promise<IdleBench> {
  const folder = await mkdtemp(join(tmpdir(), 'parley-bench-'))
  const file = join(folder, 'parley.toml')
  await writeFile(file, config)
  const startedAt = systemClock.now()
  const child = spawn(process.execPath, [main, 'run', '--config', file, '--bundle', bundle], { env: { ...env, PARLEY_LOG: 'info' }, stdio: ['ignore', 'ignore', 'pipe'] })
  try {
    let words = ''
    const listening = new Promise<number>((resolve, reject) => {
      child.stderr.on('data', (bytes: Buffer) => {
        words = (words + bytes.toString()).slice(-4_000)
        if (words.includes('"msg":"listening"')) resolve(systemClock.now() - startedAt)
      })
      child.once('exit', () => reject(new ParleyError('bench', `parley run ended: ${words.slice(-500)}`)))
      setTimeout(() => reject(new ParleyError('bench', `parley run did not listen in ${START_LIMIT_MS} ms`)), START_LIMIT_MS).unref()
    })
    const coldStartMs = await listening
    await systemClock.sleep(SETTLE_MS)
    const before = usageOf(child.pid ?? 0)
    const from = systemClock.now()
    await systemClock.sleep(seconds * 1000)
    const after = usageOf(child.pid ?? 0)
    const cpu = (after.cpuS - before.cpuS) / ((systemClock.now() - from) / 1000)
    return { sound, coldStartMs: round(coldStartMs), processes: after.processes, rssMb: round(after.rssMb), idleCpuPercent: round(cpu * 100) }
  } finally {
    await end(child)
    await rm(folder, { recursive: true, force: true })
  }
}
