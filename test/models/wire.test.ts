import t from 'tap'
import { ParleyError } from '../../base/errors.js'
import { Random } from '../../models/engine/random.js'
import type { StepSpec } from '../../models/engine/step-spec.js'
import { FrameSplitter, decodeFrame, encodeFrame, type Message } from '../../models/engine/wire.js'

const audio = Float32Array.from({ length: 1280 }, (_, i) => Math.sin(i))
const messages: Record<Message['type'], readonly Message[]> = {
  open: [{ type: 'open', spec: { name: 'tiny', seed: 3, tokenizer: '/a b/☃.json' } as StepSpec }],
  step: [{ type: 'step', id: 7, at: 1234.5678, audio }, { type: 'step', id: 0xffffffff, at: -0.5, audio: new Float32Array(0) }],
  facts: [{ type: 'facts', id: 1, lines: ['a: b', 'café: 2'], passing: ['battery: 9'] }, { type: 'facts', id: 2, lines: [], passing: [] }],
  tell: [{ type: 'tell', line: 'battery 9', kind: 'event' }, { type: 'tell', line: '', kind: 'typed' }],
  reset: [{ type: 'reset', id: 9 }],
  cancel: [{ type: 'cancel', id: 9 }],
  ping: [{ type: 'ping', id: 9 }],
  trying: [{ type: 'trying', provider: 'cuda' }],
  ready: [{ type: 'ready', provider: 'cpu', precision: 'fp32', refusals: [{ provider: 'cuda', reason: 'no' }] }],
  said: [
    { type: 'said', id: 3, finished: 2, said: { at: 80.25, text: '', heard: '', speech: undefined, stepMs: 0.5 } },
    { type: 'said', id: 3, finished: 0, said: { at: 80, text: ' hi', heard: ' ho', speech: audio, call: { name: 'move', args: { direction: 'back', metres: 2 } }, style: 'calm', mark: 'begin', stepMs: 2 } },
  ],
  done: [{ type: 'done', id: 1 }],
  cancelled: [{ type: 'cancelled', id: 1 }],
  failed: [{ type: 'failed', id: 1, code: 'x', message: 'why', hint: '' }],
  alive: [{ type: 'alive' }],
}
const all = Object.values(messages).flat()

t.test('every message comes back as it was sent, also when cut anywhere', async t => {
  const bytes = Buffer.concat(all.map(encodeFrame))
  for (const size of [1, 3, 7, 1_000, bytes.length]) {
    const splitter = new FrameSplitter()
    const got: Message[] = []
    for (let at = 0; at < bytes.length; at += size) got.push(...splitter.push(bytes.subarray(at, at + size)))
    t.same(got, all, `in pieces of ${size}`)
  }
})

t.test('spoilt frames are refused with a ParleyError and nothing else', async t => {
  const random = new Random(5)
  let refused = 0
  for (let n = 0; n < 5_000; n++) {
    const frame = Buffer.from(encodeFrame(all[n % all.length] as Message).subarray(4))
    const cut = Math.floor(random.next() * (frame.length + 1))
    const bad = n % 3 === 0 ? frame.subarray(0, cut) : frame
    for (let k = 0; k <= n % 4; k++) bad[Math.floor(random.next() * bad.length)] = Math.floor(random.next() * 256)
    try {
      decodeFrame(bad)
    } catch (error) {
      refused++
      if (!(error instanceof ParleyError)) t.fail(`threw ${String(error)}`)
    }
  }
  t.ok(refused > 500, `${refused} of 5000 were refused`)
})

t.test('a length that no message has is refused at once', async t => {
  t.throws(() => new FrameSplitter().push(Buffer.from([255, 255, 255, 255, 0])), { code: 'wire-bad' })
  t.throws(() => new FrameSplitter().push(Buffer.from([0, 0, 0, 0])), { code: 'wire-bad' })
})
