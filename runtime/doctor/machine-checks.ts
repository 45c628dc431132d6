import { statfs, readFile } from 'node:fs/promises'
import { availableParallelism, freemem, homedir, loadavg, totalmem } from 'node:os'
import { findBinding } from '../../drivers/camera/opencv-binding.js'
import { checkFiles } from '../config/files.js'
import { checkDrivers } from '../config/load.js'
import type { Config } from '../config/schema.js'
import { figure, type Check } from './check.js'

const LEAST_NODE = [20, 17] as const
/** All processes of parley together (issue): 350 MB. */
const NEEDED_MB = 350

export function machineChecks(config: Config, path: string | undefined): Check[] {
  return [
    {
      what: 'Node', needed: true,
      look: async () => {
        const [major = 0, minor = 0] = process.versions.node.split('.').map(Number)
        const good = major > LEAST_NODE[0] || (major === LEAST_NODE[0] && minor >= LEAST_NODE[1])
        const seen = `${process.versions.node} ${process.arch}`
        return good ? { state: 'ok', seen } : { state: 'fail', seen, mend: `install Node ${LEAST_NODE.join('.')} or newer` }
      },
    },
    {
      what: 'machine', needed: false,
      look: async () => {
        const cores = availableParallelism()
        const load = loadavg()[0] ?? 0
        const available = Number(/MemAvailable:\s+(\d+)/.exec(await readFile('/proc/meminfo', 'utf8').catch(() => ''))?.[1] ?? freemem() / 1024) / 1024
        const disk = await statfs(homedir() || '/')
        const diskMb = (disk.bavail * disk.bsize) / 2 ** 20
        const seen = `${cores} cores, load ${figure(load)}, ${figure(available)} of ${figure(totalmem() / 2 ** 20)} MB free, disk ${figure(diskMb)} MB free`
        if (available < NEEDED_MB) return { state: 'warn', seen, mend: `parley needs ${NEEDED_MB} MB: end other programs` }
        if (load > cores) return { state: 'warn', seen: `${seen}: busy`, mend: 'see what uses the processor: top' }
        return diskMb < 200 ? { state: 'warn', seen, mend: 'make room on the disk' } : { state: 'ok', seen }
      },
    },
    {
      what: 'configuration', needed: true,
      look: async () => {
        const wrong = [...(await checkDrivers(config)), ...(await checkFiles(config))]
        if (wrong.length) return { state: 'fail', seen: wrong.map(w => `${w.key} = ${w.value}: expected ${w.expected}`).join('; '), mend: `edit ${path ?? 'parley.toml'}, then: parley check-config` }
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
