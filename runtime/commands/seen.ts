import { readFile } from 'node:fs/promises'
import { writeFileAtomic } from '../../base/files.js'

/** MQTT delivers a message of QoS 1 again within minutes; operators' tools give each request its own id. */
const KEPT = 256

/** Answers by request, so that a message that comes twice is carried out once and answered alike. */
export class Seen {
  readonly #path: string
  readonly #answers = new Map<string, string | undefined>()
  #once: string[] = []

  constructor(path: string) {
    this.#path = path
  }

  async open(): Promise<void> {
    try {
      const ids: unknown = JSON.parse(await readFile(this.#path, 'utf8'))
      if (Array.isArray(ids)) this.#once = ids.filter(id => typeof id === 'string').slice(-KEPT)
    } catch {
      // The first start, or a lost file: then a redelivered restart happens once more, and writes it anew.
    }
  }

  has(id: string): boolean {
    return this.#answers.has(id) || this.#once.includes(id)
  }

  /** The answer that it got, if it has one already and we still know it. */
  answer(id: string): string | undefined {
    return this.#answers.get(id)
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
    this.#once = [...this.#once, id].slice(-KEPT)
    await writeFileAtomic(this.#path, JSON.stringify(this.#once), 0o600)
  }

  answered(id: string, answer: string): void {
    if (this.#answers.has(id)) this.#answers.set(id, answer)
  }
}
