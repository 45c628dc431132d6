import type { Seen } from '../../base/finding.js'
import { detect } from './detect.js'
import type { Machine } from './machine.js'

/** What a technician must know of the Jetson below him; undefined: it is none. */
export async function jetsonFinding(machine: Machine): Promise<Seen | undefined> {
  const found = await detect(machine)
  if (!found) return undefined
  const { module, jetpack, l4t, cuda, tensorrt, complaints } = found
  const parts = [module, jetpack === undefined ? undefined : `JetPack ${jetpack} (L4T ${l4t})`, cuda && `CUDA ${cuda}`, tensorrt && `TensorRT ${tensorrt}`]
  const seen = [...parts.filter(Boolean), ...complaints].join(', ')
  if (complaints.length === 0) return { state: 'ok', seen }
  const old = jetpack === undefined || jetpack < 6
  return { state: old ? 'fail' : 'warn', seen, mend: old ? 'flash JetPack 6 or 7 with NVIDIA\'s SDK Manager' : 'sudo apt-get install nvidia-jetpack, then: sudo parley engines build' }
}
