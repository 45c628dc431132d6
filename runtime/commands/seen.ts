import { readFile } from 'node:fs/promises'
import { z } from 'zod'
import { writeFileAtomic } from '../../base/files.js'

/** MQTT delivers a message of QoS 1 again within minutes; operators' tools give each request its own id. */
const KEPT = 256

const once = z.strictObject({ id: z.string(), failure: z.string().optional() })
type Once = z.infer<typeof once>

/** Answers by request, so that a message that comes twice is carried out once and answered alike. */
export class Seen {
  readonly #path: string
  readonly #answers = new Map<string, string | undefined>()
  /** Carried out at most once over restarts, with the answer of those that failed. */
  #once: Once[] = []

  constructor(path: string) {
    this.#path = path
  }

  async open(): Promise<void> {
    try {
      const ids: unknown = JSON.parse(await readFile(this.#path, 'utf8'))
      this.#once = z.array(once).parse(ids).slice(-KEPT)
    } catch {
      // The first start, or a lost file: then a redelivered restart happens once more, and writes it anew.
    }
  }

  has(id: string): boolean {
    return this.#answers.has(id) || this.#once.some(x => x.id === id)
  }

  /** The answer that it got, if it has one already and we still know it. */
  answer(id: string): string | undefined {
    return this.#answers.get(id) ?? this.#once.find(x => x.id === id)?.failure
  }

  add(id: string): void {
    this.#answers.set(id, undefined)
    for (const oldest of this.#answers.keys()) {
      if (this.#answers.size <= KEPT) break
      this.#answers.delete(oldest)
    }
  }

  /** Also over a restart. Throws if the disk refuses: then the command must not be carried out. */
  async addForGood(id: string): Promise<void> {
    const list = [...this.#once, { id }].slice(-KEPT)
    await this.#write(list)
    this.#once = list
  }

  /** One that was to be carried out once has failed: asked again after a restart, the device must not say that it is done. */
  async failed(id: string, failure: string): Promise<void> {
    if (!this.#once.some(x => x.id === id)) return
    this.#once = this.#once.map(x => (x.id === id ? { id, failure } : x))
    await this.#write(this.#once).catch(() => {}) // a full disk: then the answer is known until the next restart
  }

  async #write(list: readonly Once[]): Promise<void> {
    await writeFileAtomic(this.#path, JSON.stringify(list), 0o600)
  }

  answered(id: string, answer: string): void {
    if (this.#answers.has(id)) this.#answers.set(id, answer)
  }
}
