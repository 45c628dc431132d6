import { statfs } from 'node:fs/promises'
import { freemem, loadavg } from 'node:os'
import type { Registry } from './registry.js'

/** Reads what the machine says of itself; what it does not say stays unknown. */
export async function readSystem(registry: Registry, folder: string): Promise<void> {
  registry.set('memory', process.memoryUsage.rss())
  registry.set('memory_free', freemem())
  registry.set('load', loadavg()[0])
  registry.set('uptime', Math.round(process.uptime()))
  const disk = await statfs(folder).catch(() => undefined) // a folder that has gone; the store's errors tell of it
  if (disk) registry.set('disk_free', disk.bavail * disk.bsize)
}
