import { readdir, rm } from 'node:fs/promises'
import { join } from 'node:path'
import { ParleyError } from '../../base/errors.js'
import { readJsonIfThere, writeFileAtomic } from '../../base/files.js'
import { loadBundle } from '../../models/bundle/index.js'

const NAME = /^[A-Za-z0-9_-][A-Za-z0-9._-]{0,79}$/

/** Which of the installed bundles the owner has chosen from afar; it holds over restarts. */
export class BundleChoice {
  readonly #folder: string
  readonly #file: string

  /** `folder`: a bundle in each of its folders. `state`: where the choice is written down. */
  constructor(folder: string, state: string) {
    this.#folder = folder
    this.#file = join(state, 'bundle.json')
  }

  /** The folder of the chosen one, if one was chosen. */
  async chosen(): Promise<string | undefined> {
    const name = await this.#name()
    return name === undefined ? undefined : join(this.#folder, name)
  }

  /** Chooses; false: it was chosen already. Throws `bundle-missing` with the names there are, or what is wrong with that bundle. */
  async use(name: string): Promise<boolean> {
    if ((await this.#name()) === name) return false
    const names = (await readdir(this.#folder, { withFileTypes: true }).catch(() => [])).filter(e => e.isDirectory()).map(e => e.name)
    if (!NAME.test(name) || !names.includes(name)) throw new ParleyError('bundle-missing', `no bundle of that name is installed; there are: ${names.join(', ') || 'none'}`)
    await loadBundle(join(this.#folder, name), { verify: 'full' })
    await writeFileAtomic(this.#file, JSON.stringify({ name }))
    return true
  }

  /** Back to the bundle of the release: the chosen one cannot be run. */
  async forget(): Promise<void> {
    await rm(this.#file, { force: true })
  }

  async #name(): Promise<string | undefined> {
    const { name } = ((await readJsonIfThere(this.#file)) ?? {}) as { name?: unknown } // none was chosen; a torn file is none
    return typeof name === 'string' && NAME.test(name) ? name : undefined
  }
}
