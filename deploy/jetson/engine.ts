import { mkdir, open, rename, rm, stat } from 'node:fs/promises'
import { dirname, join } from 'node:path'
import type { Clock } from '../../base/clock.js'
import { ParleyError } from '../../base/errors.js'
import { readJsonIfThere, syncFolder, writeFileAtomic } from '../../base/files.js'
import type { Machine } from './machine.js'

export interface EngineOrder {
  /** The ONNX graph. */
  readonly graph: string
  /** Where the engine goes; its name is made of all that it is tied to (`models/ladder`'s `engineName`), so the name is the key. */
  readonly engine: string
  /** Of TensorRT's workspace, MB: the voice goes on beside the build and needs its memory. */
  readonly workspaceMb: number
}

export interface BuildProgress {
  readonly phase: 'parsing' | 'optimising' | 'saving'
  readonly elapsedMs: number
  /** Of the last build on this device. */
  readonly expectedMs?: number
}

/** The longest build seen was 10 minutes on the largest module; the smallest has an eighth of its cores, ms. */
const LIMIT_MS = 90 * 60_000

/** Builds an engine unless it is there. True: it was built. The old engines stay until the release that needs this one is committed. */
export async function buildEngine(machine: Machine, clock: Clock, order: EngineOrder, onProgress: (progress: BuildProgress) => void, signal: AbortSignal): Promise<boolean> {
  const folder = dirname(order.engine)
  if (await stat(order.engine).catch(() => undefined)) {
    await syncFolder(folder) // the one who built it may have been killed before this
    return false
  }
  await mkdir(folder, { recursive: true })
  const temp = `${order.engine}.tmp`
  const times = join(folder, 'build-times.json')
  const expectedMs = (await lastTime(times)) ?? undefined
  const began = clock.now()
  const tell = (phase: BuildProgress['phase']): void => onProgress({ phase, elapsedMs: clock.now() - began, ...(expectedMs === undefined ? {} : { expectedMs }) })
  const tail: string[] = []
  let phase: BuildProgress['phase'] = 'parsing'
  let parsed = false
  const onLine = (line: string): void => {
    tail.push(line)
    if (tail.length > 20) tail.shift()
    // Never back: a line about the parser may come late, and the last ones are about nothing.
    const parses = /pars|import/i.test(line)
    if (/sav|serializ|Engine built/i.test(line)) phase = 'saving'
    else if (phase === 'parsing' && parsed && !parses) phase = 'optimising'
    parsed ||= parses
    tell(phase)
  }
  tell(phase)
  const limit = AbortSignal.any([signal, AbortSignal.timeout(LIMIT_MS)])
  // Idle for the disk, last for the processor; `-t`, for a sandbox that has seen to both lets nobody set them. The timing cache makes the next build of a similar graph many times faster.
  const command = ['ionice', '-t', '-c', '3', 'nice', '-n', '19', 'trtexec', `--onnx=${order.graph}`, '--stronglyTyped', `--saveEngine=${temp}`, '--skipInference', `--memPoolSize=workspace:${order.workspaceMb}M`, `--timingCacheFile=${join(folder, 'timing.cache')}`]
  try {
    const code = await machine.run(command, onLine, limit)
    if (code !== 0) throw new ParleyError('engine-build', `trtexec ended with ${code}: ${tail.slice(-3).join(' | ')}`, { hint: 'The whole output: run its command by hand (docs/jetson-checklist.md)' })
    const file = await open(temp, 'r').catch((cause: unknown) => { throw new ParleyError('engine-build', 'trtexec said that it was done and wrote no engine', { cause }) })
    await file.sync().finally(() => file.close())
    await rename(temp, order.engine)
    await syncFolder(folder)
    await writeFileAtomic(times, JSON.stringify({ ms: Math.round(clock.now() - began) }))
    return true
  } finally {
    await rm(temp, { force: true })
  }
}

async function lastTime(path: string): Promise<number | undefined> {
  const { ms } = ((await readJsonIfThere(path)) ?? {}) as { ms?: unknown }
  return typeof ms === 'number' ? ms : undefined
}
