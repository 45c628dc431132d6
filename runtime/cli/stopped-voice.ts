import { execFile } from 'node:child_process'
import { promisify } from 'node:util'

const VOICE = 'parley.service'
const FALLBACK = 'parley-fallback.service'

/** Gives what it prints; rejects where it fails or is not there. */
export type Systemctl = (...args: string[]) => Promise<string>

const systemctl: Systemctl = async (...args) => (await promisify(execFile)('systemctl', args, { timeout: 30_000 })).stdout

/** The voice and what speaks in its place, held still while their sound card is needed. Disposing starts the voice again, whatever came between. */
export class StoppedVoice implements AsyncDisposable {
  readonly #systemctl: Systemctl

  private constructor(control: Systemctl) {
    this.#systemctl = control
  }

  /** Also one that is only about to start would take the card. Undefined: nothing ran, and nothing is to be started, or there is no systemd. */
  static async stop(say: (line: string) => void, control: Systemctl = systemctl): Promise<StoppedVoice | undefined> {
    const stateOf = (name: string): Promise<string> => control('show', '--property=ActiveState', '--value', name).then(text => text.trim(), () => 'inactive')
    const [voice, fallback] = [await stateOf(VOICE), await stateOf(FALLBACK)]
    if (voice === 'inactive' && fallback === 'inactive') return undefined
    say(`${VOICE} is stopped for the checks`)
    // In this order: a fallback whose time is just over asks for the voice, and that wish is taken back then.
    if (fallback !== 'inactive') await control('stop', FALLBACK)
    await control('stop', VOICE)
    return new StoppedVoice(control)
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#systemctl('reset-failed', VOICE).catch(() => {}) // it had not failed
    await this.#systemctl('start', '--no-block', VOICE)
  }
}
