import t from 'tap'
import { rig, tone } from './fakes.js'

/** Speaks in every tick from the third to the twentieth. */
const speaks = (index: number): object => (index === 2 ? { mark: 'begin', text: ' hello', speech: tone() } : index > 2 && index < 20 ? { speech: tone() } : index === 20 ? { mark: 'end' } : {})

t.test('speech that comes in time has no gap', async t => {
  const r = rig(speaks)
  await r.ticks(30)
  t.equal(r.of('turn')[0]?.drops.gaps, 0)
})

t.test('a tick that comes later than what was held back is a gap, and is counted', async t => {
  const r = rig(index => ({ ...speaks(index), ...(index === 10 ? { slowMs: 200 } : {}) }), 'none', true)
  await r.ticks(40)
  t.equal(r.of('turn')[0]?.drops.gaps, 1)
})
