import { readdirSync } from 'node:fs'
import { readFile, readdir, stat, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import t from 'tap'
import { systemClock } from '../../base/clock.js'
import { ParleyError } from '../../base/errors.js'
import { updateJob } from '../../deploy/update/job.js'
import { DeviceAndVendor } from './device.js'

t.setTimeout(60_000)
const settings = (d: { vendor: { path(name: string): string } }): string => `[update]\nfrom = "${d.vendor.path('')}"\nby = "job"\nquietMinutes = 0\nreserveMegabytes = 0\n`

async function device(t: Parameters<typeof DeviceAndVendor.make>[0]) {
  const d = await DeviceAndVendor.make(t, '')
  await writeFile(join(d.root, 'etc/parley/parley.toml'), settings(d))
  const stop = new AbortController()
  const job = updateJob({ clock: systemClock, root: d.root, lookMs: 20 })
  return { d, stop, start: (release: string) => job.run({ release }, stop.signal).then(() => 'succeeded', (error: ParleyError) => `${error.code}: ${error.message}`) }
}
const wish = (root: string): Promise<string> => readFile(join(root, 'run/parley/update-wish.json'), 'utf8').catch(() => 'none')
async function until(what: string, is: () => Promise<boolean>): Promise<void> {
  for (const end = performance.now() + 10_000; performance.now() < end; await new Promise(resolve => setTimeout(resolve, 10))) if (await is()) return
  throw new Error(`not in 10 s: ${what}`)
}

t.test('led by jobs, a device begins nothing by itself, and what a job asks for is installed', async t => {
  const { d, start } = await device(t)
  const next = await d.publish(2)
  await d.update()
  t.equal(await d.current(), d.first)
  const job = start(next)
  await until('the wish', async () => (await wish(d.root)).includes(next))
  await d.update()
  t.equal(await job, 'succeeded')
  t.equal(await d.current(), next)
  t.equal(await wish(d.root), 'none')
  t.equal(await start(next), 'succeeded', 'asked for once more it is there')
})

t.test('a release that does not answer fails the job with its reason, also when it is asked for again', async t => {
  const { d, start } = await device(t)
  const next = await d.publish(2)
  d.answers = false
  const job = start(next)
  await until('the wish', async () => (await wish(d.root)).includes(next))
  await d.update()
  t.match(await job, /update-failed: .*golden utterance/)
  t.match(await start(next), /golden utterance/)
  t.equal(await d.current(), d.first)
})

t.test('files that were changed on the way fail the job; what the updater says is written one note after the other, so that this comes last', async t => {
  const { d, start } = await device(t)
  const before = await readdir(d.vendor.path('blobs'))
  const next = await d.publish(2, 8 << 20)
  const blob = d.vendor.path(`blobs/${(await readdir(d.vendor.path('blobs'))).find(name => !before.includes(name))}`)
  await writeFile(blob, Buffer.alloc((await stat(blob)).size))
  const job = start(next)
  await until('the wish', async () => (await wish(d.root)).includes(next))
  let atOnce = 0
  const watching = setInterval(() => { atOnce = Math.max(atOnce, readdirSync(join(d.root, 'run/parley-update')).filter(name => name.endsWith('.tmp')).length) })
  t.equal(await d.update(), 1)
  clearInterval(watching)
  t.ok(atOnce <= 1, `${atOnce} at once`)
  t.match(JSON.parse(await readFile(join(d.root, 'run/parley-update/state.json'), 'utf8')), { code: 'update-tampered', release: next })
  t.match(await job, /update-failed: .*not what was signed/)
})

t.test('a job that is taken back leaves the old release, and what was fetched for it goes', async t => {
  const { d, stop, start } = await device(t)
  const next = await d.publish(2)
  await writeFile(join(d.root, 'run/parley/talking'), '')
  const job = start(next)
  await until('the wish', async () => (await wish(d.root)).includes(next))
  await d.update()
  t.match(d.lines.at(-1), /staged: waiting for the end of a talk/)
  stop.abort(new ParleyError('canceled', 'the job was taken back'))
  t.match(await job, /canceled/)
  await d.update()
  t.equal(d.lines.at(-1), 'idle')
  t.equal(await d.current(), d.first)
})

t.test('the end of the process is no end of the job', async t => {
  const { d, stop, start } = await device(t)
  const next = await d.publish(2)
  const job = start(next)
  await until('the wish', async () => (await wish(d.root)).includes(next))
  stop.abort(new ParleyError('closed', 'the runtime is closing'))
  t.match(await job, /closed/)
  t.notMatch(await wish(d.root), /cancelled/)
  await d.update()
  t.equal(await d.current(), next)
})

t.test('a job for another release than the signed one installs nothing; a downgrade fails it', async t => {
  const { d, stop, start } = await device(t)
  await d.publish(2)
  const other = start('b'.repeat(64))
  await until('the wish', async () => (await wish(d.root)).includes('bbbb'))
  await d.update()
  t.match(d.lines.at(-1), /not now: the channel stable has/)
  t.equal(await d.current(), d.first)
  stop.abort(new ParleyError('canceled', 'enough'))
  await other
  const old = await device(t)
  await writeFile(join(old.d.root, 'etc/parley/parley.toml'), settings(old.d))
  const newer = await old.d.publish(3)
  const job = old.start(newer)
  await until('the wish', async () => (await wish(old.d.root)).includes(newer))
  await old.d.update()
  t.equal(await job, 'succeeded')
  const ancient = await old.d.publish(2)
  const back = old.start(ancient)
  await until('the wish', async () => (await wish(old.d.root)).includes(ancient))
  await old.d.update()
  t.match(await back, /update-failed: .*not newer/)
})
