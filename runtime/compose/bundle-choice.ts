import { readdir, rm } from 'node:fs/promises'
import { join } from 'node:path'
import { ParleyError, describe } from '../../base/errors.js'
import { readJsonIfThere, writeFileAtomic } from '../../base/files.js'
import type { Logger } from '../../base/log.js'
import { loadBundle } from '../../models/bundle/index.js'

const NAME = /^[A-Za-z0-9_-][A-Za-z0-9._-]{0,79}$/

/** On disk. `trying`: being opened for the first time; found at a start it means that the process ended meanwhile. */
interface Choice {
  readonly name?: string
  readonly is?: 'chosen' | 'trying' | 'runs'
  /** The last one that had to be given up. */
  readonly failed?: { readonly name: string; readonly why: string }
}

/** Which of the installed bundles the owner has chosen from afar; it holds over restarts. */
export class BundleChoice {
  readonly #folder: string
  readonly #file: string
  /** The chosen one, if this process runs it and not the device's own. */
  running: string | undefined

  /** `folder`: a bundle in each of its folders. `state`: where the choice is written down. */
  constructor(folder: string, state: string) {
    this.#folder = folder
    this.#file = join(state, 'bundle.json')
  }

  /** Its name, if one was chosen. */
  async chosen(): Promise<string | undefined> {
    return (await this.#read()).name
  }

  /** Chooses; false: it was chosen already. Throws `bundle-missing` with the names there are, or what is wrong with that bundle. */
  async use(name: string): Promise<boolean> {
    if ((await this.chosen()) === name) return false
    const names = (await readdir(this.#folder, { withFileTypes: true }).catch(() => [])).filter(e => e.isDirectory()).map(e => e.name)
    if (!NAME.test(name) || !names.includes(name)) throw new ParleyError('bundle-missing', `no bundle of that name is installed; there are: ${names.join(', ') || 'none'}`)
    await loadBundle(join(this.#folder, name), { verify: 'full' })
    await this.#write({ name, is: 'chosen' })
    return true
  }

  /** Back to what was chosen before; undefined: to the device's own. */
  async putBack(name: string | undefined): Promise<void> {
    if (name === undefined) await rm(this.#file, { force: true })
    else await this.#write({ name, is: name === this.running ? 'runs' : 'chosen' })
  }

  /**
   * Opens the chosen one, or the device's own where that cannot be run, or where the process ended while it was opened for the
   * first time: a wrong choice must not make the device dumb. Broken off by `signal`, it is as if it had not been opened.
   */
  async open<M>(own: string, open: (folder: string) => Promise<M>, log: Logger, signal?: AbortSignal): Promise<M> {
    const { name, is } = await this.#read()
    if (name === undefined) return open(own)
    try {
      if (is === 'trying') throw new ParleyError('bundle-ended', 'the device stopped while it was opened for the first time')
      if (is !== 'runs') await this.#note({ name, is: 'trying' }, log)
      const model = await open(join(this.#folder, name))
      if (is !== 'runs') await this.#note({ name, is: 'runs' }, log)
      this.running = name
      return model
    } catch (error) {
      if (signal?.aborted) {
        if (is === 'chosen') await this.#note({ name, is }, log)
        throw error
      }
      log.error({ reason: describe(error) }, 'the chosen bundle cannot be run; the device\'s own is taken again')
      await this.#note({ failed: { name, why: describe(error) } }, log)
      return open(own)
    }
  }

  /** After a restart that was to bring this one: `done`, it runs; `again`, it was not chosen yet. Throws why it was given up. */
  async outcome(name: string): Promise<'done' | 'again'> {
    if (this.running === name) return 'done'
    const { name: chosen, failed } = await this.#read()
    if (failed?.name === name) throw new ParleyError('bundle-failed', failed.why)
    if (chosen !== name) return 'again'
    await this.putBack(undefined)
    throw new ParleyError('bundle-fixed', 'the device was started with --bundle, which goes before what is chosen from afar')
  }

  async #read(): Promise<Choice> {
    const { name, ...rest } = ((await readJsonIfThere(this.#file)) ?? {}) as Choice // none was chosen; a torn file is none
    return typeof name === 'string' && NAME.test(name) ? { name, ...rest } : rest
  }

  /** A disk that refuses must not keep a bundle from being opened. */
  async #note(choice: Choice, log: Logger): Promise<void> {
    await this.#write(choice).catch((error: unknown) => log.error({ reason: describe(error) }, 'the choice of the bundle cannot be written down'))
  }

  async #write(choice: Choice): Promise<void> {
    await writeFileAtomic(this.#file, JSON.stringify(choice))
  }
}
