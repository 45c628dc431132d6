import { ParleyError } from '../../base/errors.js'
import type { ToolCall } from '../../base/frames.js'

/** A step that one hears: 10 steps from silence to full. */
const STEP = 0.1
/** Turned down by voice it stays audible: who wants silence says mute. */
const LEAST = 0.1

interface Loudness {
  volume: number
}

/** The built-in tool `volume(change: up | down | mute | unmute)`: the speaker's gain. */
export class Volume {
  readonly #playout: Loudness
  #beforeMute: number | undefined

  constructor(playout: Loudness) {
    this.#playout = playout
  }

  /** 0 to 1, audible from now on. */
  set(volume: number): void {
    this.#beforeMute = undefined
    this.#playout.volume = volume
  }

  act(call: ToolCall): void {
    const { change } = call.args
    const now = this.#beforeMute ?? this.#playout.volume
    if (change === 'mute') {
      this.#beforeMute = now
      this.#playout.volume = 0
      return
    }
    this.#beforeMute = undefined
    if (change === 'unmute') this.#playout.volume = now
    else if (change === 'up') this.#playout.volume = now + STEP
    else if (change === 'down') this.#playout.volume = Math.max(LEAST, now - STEP)
    else throw new ParleyError('bad-call', `volume can change up, down, mute or unmute, not ${JSON.stringify(change)}`)
  }
}
