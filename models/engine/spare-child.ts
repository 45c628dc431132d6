import { spawn, type ChildProcess } from 'node:child_process'
import { fileURLToPath } from 'node:url'

const PROGRAM = fileURLToPath(new URL('./child.js', import.meta.url))
/** What ONNX Runtime and the GPU libraries read. Nothing else of our environment (it may hold passwords) goes to the child. */
const ENVIRONMENT = /^(PATH|HOME|LANG|LC_|TMPDIR|TZ|LD_LIBRARY_PATH|CUDA_|NVIDIA_|ORT_|TRT_)/

/** Small heaps: the model's memory is outside V8, and a step leaves little garbage. */
export const CHILD_V8_OPTIONS: readonly string[] = ['--max-old-space-size=64', '--max-semi-space-size=2']
/**
 * glibc: one heap for all threads, or garbage of one is not used by another (528 against 130 MB). A step's intermediates are up to
 * a few MB and come back every step, so they must stay in the heap: with the small thresholds of facts.md each is mapped and
 * unmapped anew, and a step takes twice as long (measured, docs/adr/0020). What exceeds 16 MB goes back to the system.
 */
const MALLOC = { MALLOC_ARENA_MAX: '1', MALLOC_MMAP_THRESHOLD_: '8388608', MALLOC_TRIM_THRESHOLD_: '16777216' }

/** The environment of a process that runs a model. */
export function childEnvironment(): NodeJS.ProcessEnv {
  return { ...Object.fromEntries(Object.entries(process.env).filter(([name]) => ENVIRONMENT.test(name))), ...MALLOC }
}

/** A process for a model, which waits for what to open. Its pipe to us is the fourth of `stdio`; it ends when that closes. */
export function spawnChild(): ChildProcess {
  return spawn(process.execPath, [...CHILD_V8_OPTIONS, PROGRAM], { stdio: ['ignore', 'ignore', 'pipe', 'pipe'], env: childEnvironment() })
}

/** One that is started before anything else is read: it loads its own code while this process loads its. This file imports nothing for that. */
export class SpareChild implements Disposable {
  #process: ChildProcess | undefined = spawnChild()

  constructor() {
    this.#process?.on('error', () => {}) // then it is not taken
  }

  /** While nobody has taken it. */
  get pid(): number | undefined {
    return this.#process?.pid
  }

  /** Once, if it lives. */
  take(): ChildProcess | undefined {
    const child = this.#process
    this.#process = undefined
    return child?.pid !== undefined && child.exitCode === null && child.signalCode === null ? child : undefined
  }

  [Symbol.dispose](): void {
    this.#process?.kill('SIGKILL')
  }
}
