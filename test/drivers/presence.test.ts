import t from 'tap'
import type { Reading } from '../../base/frames.js'
import { Presence, presenceSettings } from '../../drivers/camera/presence.js'

/** Looks every 250 ms: `1` = a face, `.` = none; returns what was told, with its time. */
async function watch(looks: string, settings = {}): Promise<{ told: [Reading['value'], number][]; counters: Record<string, number> }> {
  const presence = new Presence(presenceSettings.parse(settings))
  ;[...looks].forEach((look, i) => presence.see(look === '1' ? 1 : 0, i * 250))
  presence.end()
  const told: [Reading['value'], number][] = []
  for await (const { value, at } of presence.readings()) told.push([value, at])
  return { told, counters: presence.counters() }
}

t.test('a face that stays for 400 ms has arrived', async t => {
  t.same((await watch('..11111')).told, [['arrived', 1_000]])
})

t.test('a face in a single look is nobody, however often', async t => {
  t.same((await watch('1....1....1....1....')).told, [])
})

t.test('one look that misses does not begin again', async t => {
  t.same((await watch('1.1')).told, [['arrived', 500]])
})

t.test('someone who looks away for two seconds has not left', async t => {
  t.same((await watch('1111........1111........1111')).told, [['arrived', 500]])
})

t.test('without a face for 2.5 s the person has left, told once', async t => {
  t.same((await watch(`1111${'.'.repeat(30)}`)).told, [['arrived', 500], ['left', 3_250]])
})

t.test('someone who stays for 20 s is waiting: told once a visit', async t => {
  const { told } = await watch(`${'1'.repeat(200)}${'.'.repeat(20)}${'1'.repeat(100)}`)
  t.same(told.map(([value]) => value), ['arrived', 'waiting', 'left', 'arrived', 'waiting'])
  t.equal((told[1]?.[1] ?? 0) - (told[0]?.[1] ?? 0), 20_000)
})

t.test('how long people stayed is counted over all visits', async t => {
  const { counters } = await watch(`11111${'.'.repeat(20)}11111${'.'.repeat(20)}`)
  t.match(counters, { arrived: 2, left: 2, stayedSeconds: 6 })
})

t.test('a camera that is away sees nobody: the person leaves by the passing of time', async t => {
  const presence = new Presence(presenceSettings.parse({}))
  for (let at = 0; at <= 1_000; at += 250) presence.see(1, at)
  for (let at = 1_000; at <= 5_000; at += 100) presence.pass(at)
  t.match(presence.counters(), { arrived: 1, left: 1 })
})
