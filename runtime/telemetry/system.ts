import { readFileSync, realpathSync } from 'node:fs'
import { statfs } from 'node:fs/promises'
import { cpus, freemem, loadavg, release, type } from 'node:os'
import { join } from 'node:path'
import { deviceRoot } from '../../base/device-root.js'
import { readJsonIfThere } from '../../base/files.js'
import { usageOf } from '../health/processes.js'
import type { Value } from './metrics.js'
import { MAX_TEXT, type Registry } from './registry.js'

/** What the updater, another process, said last; below the device's root. */
const UPDATER = 'run/parley-update/state.json'

/** Of this process and all below it, bytes. */
const memoryOfAll = (): number => usageOf(process.pid).rssMb * 1_048_576

/** What `read` gives; undefined where it cannot be read just now, for example when no more files may be opened. */
function orUnknown(read: () => number): number | undefined {
  try {
    return read()
  } catch {
    return undefined
  }
}

/** Reads what the machine says of itself; what it does not say stays unknown. Never rejects. */
export async function readSystem(registry: Registry, folder: string, memory = memoryOfAll): Promise<void> {
  registry.set('memory', orUnknown(() => Math.round(memory())))
  registry.set('memory_free', freemem())
  registry.set('load', loadavg()[0])
  registry.set('uptime', Math.round(process.uptime()))
  const disk = await statfs(folder).catch(() => undefined) // a folder that has gone; the store's errors tell of it
  if (disk) registry.set('disk_free', disk.bavail * disk.bsize)
  const { state, reason, done, of } = ((await readJsonIfThere(join(deviceRoot(), UPDATER)).catch(() => undefined)) ?? {}) as { state?: unknown; reason?: unknown; done?: unknown; of?: unknown }
  const told = {
    update: state,
    update_reason: typeof reason === 'string' ? reason.slice(0, MAX_TEXT) : undefined,
    update_done: typeof done === 'number' && typeof of === 'number' && of > 0 ? Math.round((100 * done) / of) : undefined,
  }
  // What it no longer says must not stand there: a first engine has no share that is done, and the download before it had.
  for (const [key, value] of Object.entries(told) as [keyof typeof told, Value | undefined][]) if (!registry.set(key, value)) registry.forget(key)
}

/** What does not change while the process lives. `at`: a file of the installed program. */
export function readVersions(registry: Registry, version: string, at: string): void {
  registry.set('version', version)
  registry.set('release', /releases\/([0-9a-f]{12})[0-9a-f]{52}\//.exec(realpathSync(at))?.[1])
  registry.set('node_version', process.versions.node)
  registry.set('os', `${type()} ${release()}`)
}

/** `NVIDIA Jetson Orin Nano …` where a device tree says so, else the processor. */
export function hardwareName(): string | undefined {
  try {
    return readFileSync(join(deviceRoot(), 'proc/device-tree/model'), 'utf8').replaceAll('\0', '').trim()
  } catch {
    return cpus()[0]?.model.trim() // a PC has no device tree
  }
}
