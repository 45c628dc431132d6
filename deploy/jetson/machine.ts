import { spawn } from 'node:child_process'
import { readFile, readdir } from 'node:fs/promises'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import { isMissing, systemCode } from '../../base/errors.js'

/** All that is asked of a Jetson: its files and its programs. A recorded one stands in where there is none. */
export interface Machine {
  /** Without the zero bytes of the device tree; undefined when it is not there or not to be read. */
  text(path: string): Promise<string | undefined>
  names(folder: string): Promise<string[]>
  /** Lines as they come; resolves with the exit code. Killed with the signal. */
  run(command: readonly string[], onLine: (line: string) => void, signal: AbortSignal): Promise<number>
}

/** JetPack puts `trtexec` on nobody's PATH. */
const TENSORRT = '/usr/src/tensorrt/bin'

/** `root`: `/`, or a recorded tree. `programs`: what is run in the place of a program. */
export class LocalMachine implements Machine {
  readonly #root: string
  readonly #programs: Readonly<Record<string, readonly string[]>>

  constructor(root = '/', programs: Readonly<Record<string, readonly string[]>> = {}) {
    this.#root = root
    this.#programs = programs
  }

  async text(path: string): Promise<string | undefined> {
    try {
      return (await readFile(join(this.#root, path), 'utf8')).replace(/\0+$/, '').replaceAll('\0', '\n').trim()
    } catch (error) {
      // A sensor that sleeps answers EAGAIN or EIO: unknown, not broken.
      if (isMissing(error) || ['EAGAIN', 'EIO', 'EACCES', 'EINVAL', 'ENOTDIR', 'ENODATA'].includes(systemCode(error) ?? '')) return undefined
      throw error
    }
  }

  async names(folder: string): Promise<string[]> {
    return (await readdir(join(this.#root, folder)).catch(() => [])).sort() // not there: nothing in it
  }

  run(command: readonly string[], onLine: (line: string) => void, signal: AbortSignal): Promise<number> {
    // `nice` and `ionice` stay real; the program that they start is the one that is replaced.
    const [program = '', ...args] = command.flatMap(word => this.#programs[word] ?? [word])
    return new Promise((resolve, reject) => {
      const child = spawn(program, args, { stdio: ['ignore', 'pipe', 'pipe'], signal, killSignal: 'SIGKILL', env: { ...process.env, PATH: `${process.env['PATH'] ?? ''}:${TENSORRT}` } })
      for (const stream of [child.stdout, child.stderr]) createInterface({ input: stream }).on('line', onLine)
      child.once('error', reject)
      child.once('close', (code, killedBy) => resolve(code ?? (killedBy ? 128 : 1)))
    })
  }
}
