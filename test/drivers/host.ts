import pino from 'pino'
import type { Host } from '../../drivers/contract.js'
import { withTimeout } from '../../base/abort.js'
import { systemClock, type Clock } from '../../base/clock.js'
import { resample } from '../../base/resample.js'
import { readWav } from '../../base/wav.js'

/** What a driver under test is given; nothing is logged. */
export function testHost(clock: Clock = systemClock, signal = new AbortController().signal): Host {
  return { clock, log: pino({ level: 'silent' }), signal }
}

export const sleep = (ms: number): Promise<void> => systemClock.sleep(ms)

/** Waits until `check` gives something; fails after `ms`. */
export async function until<T>(what: string, ms: number, check: () => T | undefined | false): Promise<T> {
  const stop = new AbortController()
  const poll = async (): Promise<T> => {
    for (;;) {
      const found = check()
      if (found !== undefined && found !== false) return found
      await systemClock.sleep(5, stop.signal)
    }
  }
  try {
    return await withTimeout(poll(), ms, what)
  } finally {
    stop.abort()
  }
}

export function tone(ms: number, { rate = 16_000, hz = 440, level = 0.5 } = {}): Float32Array {
  return Float32Array.from({ length: Math.round((ms * rate) / 1000) }, (_, i) => level * Math.cos((2 * Math.PI * hz * i) / rate))
}

export function peak(samples: Float32Array): number {
  return samples.reduce((most, s) => Math.max(most, Math.abs(s)), 0)
}

/** A person's voice, 16 kHz, its peak at `level`: the channel names that come with alsa-utils. */
export async function speech(name: string, level = 0.9): Promise<Float32Array> {
  const sound = await readWav(`/usr/share/sounds/alsa/${name}.wav`)
  const samples = resample(sound.samples, sound.rate, 16_000)
  const gain = level / peak(samples)
  return samples.map(s => s * gain)
}

export function quantile(values: readonly number[], q: number): number {
  return [...values].sort((a, b) => a - b)[Math.min(values.length - 1, Math.floor(values.length * q))] ?? NaN
}

/** The processes below this one whose command line has `part`. */
export async function children(part: string): Promise<string[]> {
  const { readFile, readdir } = await import('node:fs/promises')
  const found: string[] = []
  for (const pid of (await readdir('/proc')).filter(name => /^\d+$/.test(name))) {
    const stat = await readFile(`/proc/${pid}/stat`, 'utf8').catch(() => '')
    const command = (await readFile(`/proc/${pid}/cmdline`, 'utf8').catch(() => '')).replaceAll('\0', ' ')
    if (stat.split(') ')[1]?.split(' ')[1] === String(process.pid) && command.includes(part)) found.push(command)
  }
  return found
}

/** What is left after 5 s of the processes below this one with one of these in their command lines; returns as soon as there is none. */
export async function leftOf(...parts: string[]): Promise<string[]> {
  for (let waited = 0; ; waited += 20) {
    const left = (await Promise.all(parts.map(children))).flat()
    if (left.length === 0 || waited >= 5_000) return left
    await sleep(20)
  }
}

/** The files below this folder that this process has open. */
export async function openBelow(folder: string): Promise<string[]> {
  const { readdir, readlink } = await import('node:fs/promises')
  const files = await Promise.all((await readdir('/proc/self/fd')).map(fd => readlink(`/proc/self/fd/${fd}`).catch(() => '')))
  return files.filter(file => file.startsWith(`${folder}/`))
}
