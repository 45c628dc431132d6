import { statfs, readFile } from 'node:fs/promises'
import { availableParallelism, freemem, homedir, loadavg, totalmem } from 'node:os'
import type { Finding, Seen } from '../../base/finding.js'
import { ParleyError } from '../../base/errors.js'
import { findBinding } from '../../drivers/camera/opencv-binding.js'
import { checkFiles } from '../config/files.js'
import { checkDrivers } from '../config/load.js'
import type { Config } from '../config/schema.js'
import { figure, runCheck, type Check } from './check.js'

const LEAST_NODE = [20, 17] as const
/** All processes of parley together (issue): 350 MB. */
const NEEDED_MB = 350
/** Of the home folder, MB: a report and a download of a few files. */
const LEAST_DISK_MB = 200

export function machineChecks(config: Config, path: string | undefined): Check[] {
  return [
    {
      what: 'Node', needed: true, always: true,
      look: async () => {
        const [major = 0, minor = 0] = process.versions.node.split('.').map(Number)
        const good = major > LEAST_NODE[0] || (major === LEAST_NODE[0] && minor >= LEAST_NODE[1])
        const seen = `${process.versions.node} ${process.arch}`
        return good ? { state: 'ok', seen } : { state: 'fail', seen, mend: `install Node ${LEAST_NODE.join('.')} or newer` }
      },
    },
    {
      what: 'machine', needed: false, always: true,
      look: async () => {
        const cores = availableParallelism()
        const load = loadavg()[0] ?? 0
        const available = Number(/MemAvailable:\s+(\d+)/.exec(await readFile('/proc/meminfo', 'utf8').catch(() => ''))?.[1] ?? freemem() / 1024) / 1024
        const disk = await statfs(homedir() || '/')
        const diskMb = (disk.bavail * disk.bsize) / 2 ** 20
        return machineSeen({ cores, load, availableMb: available, totalMb: totalmem() / 2 ** 20, diskMb })
      },
    },
    {
      what: 'configuration', needed: true,
      look: async () => {
        const wrong = [...(await checkDrivers(config)), ...(await checkFiles(config))]
        if (wrong.length) return { state: 'fail', seen: wrong.map(w => `${w.key} = ${w.value}: expected ${w.expected}`).join('; '), mend: editMend(path) }
        return { state: 'ok', seen: path ?? 'no file: the defaults' }
      },
    },
    {
      what: 'OpenCV', needed: config.camera?.driver === 'opencv',
      look: async () => {
        const { opencv } = findBinding()
        return { state: 'ok', seen: opencv }
      },
    },
  ]
}

/** `named`: with --config; `error`: of `loadConfig`. */
export async function configurationRefused(error: ParleyError, named: string | undefined): Promise<Finding> {
  const finding = await runCheck({ what: 'configuration', needed: true, look: () => Promise.reject(error) })
  const seen = `${finding.seen}; what depends on it was not looked at`
  if (error.code === 'config-unreadable') return { ...finding, state: 'fail', seen, mend: `sudo parley doctor${option(named)}` }
  if (error.code === 'config-missing') return { ...finding, state: 'fail', seen, mend: 'parley doctor without --config, or with a file that is there' }
  return { ...finding, state: 'fail', seen, mend: editMend(named, named) }
}

const option = (named: string | undefined): string => (named === undefined ? '' : ` --config ${named}`)
const editMend = (path: string | undefined, named?: string): string => `edit ${path ?? 'the file'}, then: sudo parley check-config${option(named)}`

/** Apart from the machine at hand, so that a full one can be shown. */
export function machineSeen(m: { readonly cores: number; readonly load: number; readonly availableMb: number; readonly totalMb: number; readonly diskMb: number }): Seen {
  const seen = `${m.cores} cores, load ${figure(m.load)}, ${figure(m.availableMb)} of ${figure(m.totalMb)} MB free, disk ${figure(m.diskMb)} MB free`
  if (m.availableMb < NEEDED_MB) return { state: 'warn', seen, mend: `free -m; top -o %MEM (parley needs ${NEEDED_MB} MB: end what takes them)` }
  if (m.load > m.cores) return { state: 'warn', seen: `${seen}: busy`, mend: 'top' }
  return m.diskMb < LEAST_DISK_MB ? { state: 'warn', seen, mend: 'df -h; sudo journalctl --vacuum-size=100M' } : { state: 'ok', seen }
}
