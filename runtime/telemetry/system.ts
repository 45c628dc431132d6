import { readFileSync, realpathSync } from 'node:fs'
import { readFile, statfs } from 'node:fs/promises'
import { cpus, freemem, loadavg, release, type } from 'node:os'
import type { Registry } from './registry.js'

/** Reads what the machine says of itself; what it does not say stays unknown. */
export async function readSystem(registry: Registry, folder: string): Promise<void> {
  registry.set('memory', await memoryOf(process.pid))
  registry.set('memory_free', freemem())
  registry.set('load', loadavg()[0])
  registry.set('uptime', Math.round(process.uptime()))
  const disk = await statfs(folder).catch(() => undefined) // a folder that has gone; the store's errors tell of it
  if (disk) registry.set('disk_free', disk.bavail * disk.bsize)
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
    return readFileSync('/proc/device-tree/model', 'utf8').replaceAll('\0', '').trim()
  } catch {
    return cpus()[0]?.model.trim() // a PC has no device tree
  }
}

/** Bytes in memory of a process and all below it: the model, the recorder and the player are its children. Source: proc(5). */
async function memoryOf(pid: number): Promise<number> {
  const of = async (name: string): Promise<string> => readFile(`/proc/${pid}/${name}`, 'utf8').catch(() => '') // it has just ended
  const own = Number(/VmRSS:\s+(\d+)/.exec(await of('status'))?.[1] ?? 0) * 1_024
  const children = (await of(`task/${pid}/children`)).split(' ').filter(Boolean).map(Number)
  const below = await Promise.all(children.map(memoryOf))
  return below.reduce((sum, bytes) => sum + bytes, own)
}
