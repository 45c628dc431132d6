import { execFile } from 'node:child_process'
import { readFile } from 'node:fs/promises'
import { createRequire } from 'node:module'
import { join } from 'node:path'
import { promisify } from 'node:util'

const run = promisify(execFile)
const require = createRequire(import.meta.url)
/** A sound server answers in ms. */
const ASK_LIMIT_MS = 2_000

export interface SoundDevice {
  readonly system: 'pulse' | 'alsa'
  readonly direction: 'microphone' | 'speaker'
  /** Stable across replugging: for the configuration. */
  readonly name: string
  readonly note: string
}

/** What the sound server says of itself, or undefined where there is none. */
export async function soundServer(): Promise<string | undefined> {
  try {
    const { stdout } = await run('pactl', ['info'], { timeout: ASK_LIMIT_MS })
    return /Server Name: (.*)/.exec(stdout)?.[1] ?? 'a sound server'
  } catch {
    return undefined // not installed, or nobody answers
  }
}

/** Whether the kernel has any sound card. */
export async function hasSoundCard(root = '/'): Promise<boolean> {
  const cards = await readFile(join(root, 'proc/asound/cards'), 'utf8').catch(() => '')
  return /^\s*\d+ \[/m.test(cards)
}

/** Whether the native part of the package `speaker` was built; importing it to find out could end the process. */
export function speakerPackageIsBuilt(): boolean {
  try {
    require.resolve('speaker/build/Release/binding.node')
    return true
  } catch {
    return false
  }
}

/** All devices that can be named in the configuration. */
export async function listSoundDevices(): Promise<SoundDevice[]> {
  const lists = await Promise.all([pulseList('sources'), pulseList('sinks'), alsaList('arecord'), alsaList('aplay')])
  return lists.flat()
}

async function pulseList(what: 'sources' | 'sinks'): Promise<SoundDevice[]> {
  const stdout = await output('pactl', ['list', 'short', what])
  const direction = what === 'sources' ? 'microphone' : 'speaker'
  return stdout.split('\n').filter(Boolean).map(line => {
    const [, name = '', , format = '', state = ''] = line.split('\t')
    return { system: 'pulse', direction, name, note: [format, state.toLowerCase(), name.endsWith('.monitor') ? 'hears what is played' : ''].filter(Boolean).join(', ') }
  })
}

/** Of `-L` only the names that stay the same and that convert rates. */
async function alsaList(program: 'arecord' | 'aplay'): Promise<SoundDevice[]> {
  const stdout = await output(program, ['-L'])
  const lines = stdout.split('\n')
  return lines.flatMap((line, i): SoundDevice[] => (/^plughw:CARD=/.test(line) ? [{ system: 'alsa', direction: program === 'arecord' ? 'microphone' : 'speaker', name: line.trim(), note: lines[i + 1]?.trim() ?? '' }] : []))
}

async function output(program: string, args: string[]): Promise<string> {
  try {
    return (await run(program, args, { timeout: ASK_LIMIT_MS })).stdout
  } catch {
    return '' // the program is not there, or there is nothing to list
  }
}
