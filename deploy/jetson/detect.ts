import type { Machine } from './machine.js'

export interface Found {
  /** As the device tree says it: `NVIDIA Jetson Orin Nano Developer Kit`. */
  readonly module: string
  readonly chip: string
  /** `87` for sm_87. */
  readonly computeCapability: string
  readonly l4t: string | undefined
  readonly jetpack: number | undefined
  readonly cuda: string | undefined
  readonly tensorrt: string | undefined
  /** What is missing or does not fit, for a technician. */
  readonly complaints: readonly string[]
}

/** NVIDIA's chips and what nvcc calls them. */
const CHIPS: Readonly<Record<string, string>> = { tegra194: '72', tegra234: '87', tegra264: '110' }
/** Jetson Linux release → JetPack. */
const JETPACKS: Readonly<Record<string, number>> = { '35': 5, '36': 6, '38': 7, '39': 7 }

/** Undefined: not a Jetson. */
export async function detect(machine: Machine): Promise<Found | undefined> {
  const compatible = (await machine.text('/proc/device-tree/compatible')) ?? ''
  const chip = /nvidia,(tegra\d+)/.exec(compatible)?.[1]
  if (chip === undefined) return undefined
  const release = /^# R(\d+) \(release\), REVISION: ([\d.]+)/m.exec((await machine.text('/etc/nv_tegra_release')) ?? '')
  const jetpack = release ? JETPACKS[release[1] as string] : undefined
  const cuda = await cudaVersion(machine)
  const tensorrt = packageVersion((await machine.text('/var/lib/dpkg/status')) ?? '', /^libnvinfer\d+$/)
  const complaints = [
    ...(jetpack === undefined || jetpack < 6 ? [`JetPack 6 or 7 is needed, this is ${release ? `L4T R${release[1]}.${release[2]}` : 'unknown'}`] : []),
    ...(CHIPS[chip] === undefined ? [`the chip ${chip} is not known`] : []),
    ...(cuda === undefined ? ['CUDA is missing: sudo apt-get install nvidia-jetpack'] : []),
    ...(tensorrt === undefined ? ['TensorRT is missing: sudo apt-get install nvidia-jetpack'] : []),
  ]
  return {
    module: (await machine.text('/proc/device-tree/model')) ?? chip, chip, computeCapability: CHIPS[chip] ?? '',
    l4t: release ? `${release[1]}.${release[2]}` : undefined, jetpack, cuda, tensorrt, complaints,
  }
}

async function cudaVersion(machine: Machine): Promise<string | undefined> {
  const text = await machine.text('/usr/local/cuda/version.json')
  return /"cuda"\s*:\s*\{[^}]*"version"\s*:\s*"([\d.]+)"/.exec(text ?? '')?.[1]
}

/** From dpkg's own list: running `dpkg-query` costs a process and says the same. */
function packageVersion(status: string, name: RegExp): string | undefined {
  for (const block of status.split(/\n\n+/)) {
    const found = /^Package: (.*)$/m.exec(block)?.[1]
    if (found && name.test(found) && /^Status: .* installed$/m.test(block)) return /^Version: ([\d.]+)/m.exec(block)?.[1]
  }
  return undefined
}
