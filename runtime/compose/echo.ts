import type { AudioFrame } from '../../base/frames.js'
import type { Speaker } from '../../drivers/contract.js'
import { EchoGate } from '../../drivers/echo/gate.js'
import type { GatedFrame } from '../conversation/live.js'

/** The microphone's frames without our own voice. */
export async function* gated(frames: AsyncIterable<AudioFrame>, speaker: Speaker, mode: 'gate' | 'off'): AsyncGenerator<GatedFrame> {
  if (mode === 'off') {
    for await (const frame of frames) yield { frame, own: false }
    return
  }
  const gate = new EchoGate()
  const untap = speaker.tap(gate.reference)
  try {
    for await (const frame of frames) {
      const result = gate.process(frame)
      yield { frame: result.frame, own: result.heard === 'echo' }
    }
  } finally {
    untap()
  }
}
