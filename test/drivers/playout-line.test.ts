import t from 'tap'
import { PlayoutLine } from '../../drivers/speaker/playout-line.js'

/** Speaks 400 chunks on a device that breaks off 20 times, each time in the middle of a chunk. Returns the line and its end. */
function brokenOff(chunkMs: number, shift: number): { line: PlayoutLine; now: number } {
  const line = new PlayoutLine()
  let now = shift
  for (let n = 0; n < 400; n++) {
    line.written(chunkMs)
    line.taken(line.sent(now), now)
    now += chunkMs * 0.7
    if (n % 20 === 19) line.deviceGone(now += 0.1 + ((n * shift) % 7) / 3)
    else now += chunkMs * 0.3
  }
  return { line, now }
}

t.test('when all has sounded nothing is queued, wherever in a chunk a device broke off', async t => {
  for (let shift = 0; shift < 200; shift++) {
    for (const chunkMs of [20, 1000 / 24, 12.7]) {
      const { line, now } = brokenOff(chunkMs, shift * 0.37)
      t.equal(line.queuedMs(now + 1_000), 0, `chunks of ${chunkMs} ms, begun at ${shift * 0.37} ms`)
    }
  }
})

t.test('what was written and not sent is queued, and what a dead device had is not', async t => {
  const line = new PlayoutLine()
  for (let n = 0; n < 4; n++) line.written(20)
  t.equal(line.queuedMs(0), 80)
  for (let n = 0; n < 2; n++) line.taken(line.sent(0), 0)
  t.equal(line.queuedMs(10), 70)
  line.deviceGone(10)
  t.equal(line.queuedMs(10), 40)
  t.equal(line.heardMs(10), 10)
  t.equal(line.lostMs, 30)
})
