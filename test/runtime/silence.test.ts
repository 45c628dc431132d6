import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { setFlagsFromString } from 'node:v8'
import { runInNewContext } from 'node:vm'
import t, { type Test } from 'tap'
import { writeWav } from '../../base/wav.js'
import { openSession } from '../../models/engine/index.js'
import { usageOf } from '../../runtime/health/processes.js'
import { converse } from '../../runtime/converse/converse.js'
import type { ConversationEvent } from '../../runtime/conversation/events.js'
import { tinyBundle } from '../models/tiny-bundle.js'
import { defaults, silentLog } from './fakes.js'

t.setTimeout(500_000)

const MINUTES = 10
/** What both processes may still grow by once they are warm, MB: heaps breathe. A leak of 1 KB a tick is 7 MB. */
const GROWTH_MB = 12
// what is garbage already is no leak, and comes and goes by 100 MB at this pace
setFlagsFromString('--expose-gc')
const collectGarbage = runInNewContext('gc') as () => void
const TICKS = (MINUTES * 60_000) / 80

/** Digital silence is in no room: a hiss of -73 dB. */
const ROOM = Float32Array.from({ length: MINUTES * 60 * 8_000 }, (_, i) => 0.0003 * Math.sin(i * i))

t.test(`${MINUTES} minutes of silence at the fast pace, on a clock of their own: nothing is said, and the memory of all processes stays flat`, { timeout: 150_000 }, async t => {
  await using bundle = await tinyBundle()
  await silence(t, bundle.folder)
})

t.test(`${MINUTES} minutes of silence: pico says nothing, and the memory of all processes stays flat`, { timeout: 300_000 }, async t => {
  await silence(t, fileURLToPath(new URL('../../../models/pico', import.meta.url)))
})

async function silence(t: Test, bundle: string): Promise<void> {
  const folder = await mkdtemp(join(tmpdir(), 'parley-silence-'))
  t.teardown(() => rm(folder, { recursive: true, force: true }))
  await using session = await openSession(bundle, { providers: ['cpu'], cacheFolder: folder })
  await writeWav(join(folder, 'silence.wav'), { rate: 8_000, samples: ROOM })
  const rss: number[] = []
  let ticks = 0
  const counted = new Proxy(session, {
    get(target, key) {
      if (key === 'step') {
        return (...args: Parameters<typeof target.step>) => {
          if (++ticks % Math.round(TICKS / 20) === 0) {
            collectGarbage()
            rss.push(usageOf(process.pid).rssMb)
          }
          return target.step(...args)
        }
      }
      const value: unknown = Reflect.get(target, key, target)
      return typeof value === 'function' ? value.bind(target) : value
    },
  })
  const events: ConversationEvent[] = []
  await converse({
    session: counted, input: join(folder, 'silence.wav'), pace: 'fast', facts: ['battery: 9'], readings: [{ source: 'battery', value: 9 }],
    settings: defaults, onEvent: e => events.push(e), log: silentLog, signal: new AbortController().signal,
  })
  t.ok(ticks >= TICKS, `${ticks} ticks`)
  t.same(events.filter(e => e.type !== 'reading'), [], 'nothing was said, done or wrong')
  t.equal(session.respawns, 0)
  // the first quarter warms up: code is compiled, heaps find their size
  const warm = rss.slice(5)
  const half = Math.floor(warm.length / 2)
  const growth = median(warm.slice(half)) - median(warm.slice(0, half))
  t.comment(`RSS of all processes, MB: ${rss.map(mb => mb.toFixed(0)).join(' ')}; growth ${growth.toFixed(1)}`)
  t.ok(growth < GROWTH_MB, `${growth.toFixed(1)} MB`)
}

function median(values: readonly number[]): number {
  return [...values].sort((a, b) => a - b)[Math.floor(values.length / 2)] ?? NaN
}
