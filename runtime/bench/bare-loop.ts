import { fork, type ChildProcess } from 'node:child_process'
import { once } from 'node:events'
import { fileURLToPath } from 'node:url'
import { withTimeout } from '../../base/abort.js'
import { ParleyError } from '../../base/errors.js'
import { kill } from '../../base/kill.js'
import { childEnvironment, CHILD_V8_OPTIONS } from '../../models/engine/spare-child.js'

/** A tick in which the model speaks, or not: a graph may leave out its voice then. */
export type TickKind = 'silent' | 'spoken'

const PROGRAM = fileURLToPath(new URL('./bare-child.js', import.meta.url))
/** Loading takes seconds at most, and so does a block of steps. */
const ANSWER_LIMIT_MS = 60_000

/**
 * Runs of a bundle's graph with the inputs of one real tick, and nothing else, in a process with the same heap and allocator as the
 * model's: the two differ only in what the engine adds.
 */
export class BareLoop implements AsyncDisposable {
  readonly #child: ChildProcess

  private constructor(child: ChildProcess) {
    this.#child = child
  }

  static async open(bundle: string): Promise<BareLoop> {
    const loop = new BareLoop(fork(PROGRAM, [bundle], { execArgv: [...CHILD_V8_OPTIONS], env: childEnvironment(), stdio: ['ignore', 'ignore', 'inherit', 'ipc'] }))
    try {
      await loop.#answer()
      return loop
    } catch (error) {
      await loop[Symbol.asyncDispose]()
      throw error
    }
  }

  /** Ms of each of `count` runs. */
  async run(kind: TickKind, count: number): Promise<number[]> {
    this.#child.send({ kind, count })
    return await this.#answer()
  }

  async #answer(): Promise<number[]> {
    const stop = new AbortController()
    const ended = once(this.#child, 'exit', stop).then(() => { throw new ParleyError('bench', 'the bare loop over the graph ended by itself') })
    const answer = once(this.#child, 'message', stop).then(([ms]) => ms as number[])
    try {
      return await withTimeout(Promise.race([answer, ended]), ANSWER_LIMIT_MS, 'the bare loop')
    } finally {
      stop.abort()
      await Promise.allSettled([answer, ended])
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await kill(this.#child)
  }
}
