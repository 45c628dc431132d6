import { mkdtemp, rm, utimes, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import t from 'tap'
import { uptime } from '../../base/uptime.js'
import { isTalking, observe, setTalking, writeStatus } from '../../deploy/update/status.js'

const MINUTE = 60_000
const YEAR = 365 * 24 * 60 * MINUTE
const folder = await mkdtemp(join(tmpdir(), 'parley-status-'))
t.teardown(() => rm(folder, { recursive: true, force: true }))
const status = join(folder, 'status.json')
const talking = join(folder, 'talking')
const NOW = Date.UTC(2026, 5, 1)

t.test('quiet minutes are counted by the time since the machine started, whatever the clock says', async t => {
  await writeStatus({ startedAt: NOW, startedUpMs: 1_000, lastTalkAt: NOW + 5 * MINUTE, lastTalkUpMs: 1_000 + 5 * MINUTE, selfTest: 'passed', broker: 'reached' }, status)
  for (const wall of [NOW + YEAR, NOW - YEAR]) t.match(await observe({ wall, upMs: 1_000 + 8 * MINUTE }, status), { quietMs: 3 * MINUTE, silentMs: 3 * MINUTE })
})

t.test('a release that tells only the clock\'s time is judged by the clock', async t => {
  await writeStatus({ startedAt: NOW, selfTest: 'passed', broker: 'reached' }, status)
  t.match(await observe({ wall: NOW + 2 * MINUTE, upMs: 5 }, status), { quietMs: 2 * MINUTE, silentMs: Infinity })
})

t.test('a clock that is set forward in the middle of a talk does not end the talk', async t => {
  await setTalking(true, talking, 1_000)
  t.equal(await isTalking({ wall: NOW + YEAR, upMs: 2_000 }, talking), true)
  t.equal(await isTalking({ wall: NOW, upMs: 1_000 + 16 * MINUTE }, talking), false, 'a lock that nobody renews was left behind')
  t.equal(await isTalking({ wall: NOW, upMs: 500 }, talking), false, 'so was one of another start of the machine')
  await setTalking(false, talking)
  t.equal(await isTalking({ wall: NOW, upMs: 2_000 }, talking), false)
})

t.test('the lock of an older release is judged by its file\'s time', async t => {
  await writeFile(talking, '')
  await utimes(talking, NOW / 1_000, NOW / 1_000)
  t.equal(await isTalking({ wall: NOW + MINUTE, upMs: 0 }, talking), true)
  t.equal(await isTalking({ wall: NOW + 16 * MINUTE, upMs: 0 }, talking), false)
})

t.test('two processes count from the same start', async t => {
  const { execFileSync } = await import('node:child_process')
  const module = new URL('../../base/uptime.js', import.meta.url).href
  const before = uptime()
  const other = JSON.parse(execFileSync(process.execPath, ['--input-type=module', '-e', `import { uptime } from '${module}'; console.log(JSON.stringify(uptime()))`], { encoding: 'utf8' })) as typeof before
  const after = uptime()
  t.equal(other.boot, before.boot)
  t.ok(other.ms >= before.ms && other.ms <= after.ms, `${before.ms} ${other.ms} ${after.ms}`)
})
