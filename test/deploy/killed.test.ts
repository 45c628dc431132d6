import { spawn } from 'node:child_process'
import { mkdir, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as delay } from 'node:timers/promises'
import t from 'tap'
import { currentRelease, readJournal } from '../../deploy/update/journal.js'
import { switchLink } from '../../deploy/update/atomic.js'
import { Layout, linkTo } from '../../deploy/update/layout.js'
import { realDisk } from '../../deploy/update/real-disk.js'
import { makeRelease } from './kit.js'
import { seeded } from './sim-disk.js'

const RUNS = 25
t.setTimeout(300_000)

/** The real updater on a real disk, in a process of its own, with a source in a folder and a host that is always content. */
const PROGRAM = `
import { readFile, readlink } from 'node:fs/promises'
import { systemClock } from '${new URL('../../base/clock.js', import.meta.url)}'
import { Layout } from '${new URL('../../deploy/update/layout.js', import.meta.url)}'
import { updateSettings } from '${new URL('../../deploy/update/policy.js', import.meta.url)}'
import { realDisk } from '${new URL('../../deploy/update/real-disk.js', import.meta.url)}'
import { FolderSource } from '${new URL('../../deploy/update/source.js', import.meta.url)}'
import { Updater } from '${new URL('../../deploy/update/updater.js', import.meta.url)}'
const root = process.argv[2]
const layout = new Layout(root)
const host = {
  manifest: () => readFile(root + '/manifest.json'), prepare: async () => {}, busy: async () => false, restart: async () => {}, report: () => {},
  observe: async () => ({ release: (await readlink(layout.current)).slice('releases/'.length), selfTest: 'passed', broker: 'reached', quietMs: 1e9, silentMs: 1e9 }),
}
const updater = new Updater({ disk: realDisk, layout, source: new FolderSource(root + '/vendor'), host, clock: systemClock, settings: updateSettings.parse({ quietMinutes: 0, reserveMegabytes: 0 }), arch: 'x64' })
process.stdout.write('begun\\n')
await updater.advance(new AbortController().signal)
`

t.test(`${RUNS} real processes killed with SIGKILL at random moments leave the old or the new release, and the next run ends the update`, async t => {
  const folder = await mkdtemp(join(tmpdir(), 'parley-killed-'))
  t.teardown(() => rm(folder, { recursive: true, force: true }))
  await writeFile(join(folder, 'program.mjs'), PROGRAM)
  const files = Object.fromEntries(Array.from({ length: 60 }, (_, i) => [`f${i}.js`, `${i}`.repeat(3_000)]))
  const [old, next] = [await makeRelease(1, { app: { 'main.js': 'old' } }), await makeRelease(2, { app: { 'main.js': 'new', ...files } })]
  const random = seeded(11)
  const run = async (root: string, killAfterMs?: number): Promise<number> => {
    const child = spawn(process.execPath, [join(folder, 'program.mjs'), root], { stdio: ['ignore', 'pipe', 'inherit'] })
    const ended = new Promise<void>(resolve => child.once('close', () => resolve()))
    // Counted from the first line: how long node needs to start says nothing.
    const begun = new Promise<void>(resolve => child.stdout.once('data', () => resolve()))
    await Promise.race([begun, ended])
    const from = performance.now()
    if (killAfterMs !== undefined) {
      await Promise.race([delay(killAfterMs), ended])
      child.kill('SIGKILL')
    }
    await ended
    return performance.now() - from
  }
  const device = async (name: string): Promise<{ root: string; layout: Layout }> => {
    const root = join(folder, name)
    const layout = new Layout(root)
    for (const path of [layout.store, join(root, 'vendor/blobs')]) await mkdir(path, { recursive: true })
    for (const [path, text] of Object.entries(old.files)) {
      await mkdir(join(layout.release(old.hash), path, '..'), { recursive: true })
      await writeFile(join(layout.release(old.hash), path), text)
    }
    await switchLink(realDisk, layout.current, linkTo(old.hash))
    await writeFile(join(root, 'manifest.json'), next.manifest)
    for (const [hash, bytes] of next.blobs) await writeFile(join(root, 'vendor/blobs', hash), bytes)
    return { root, layout }
  }
  const whole = await device('whole')
  const length = await run(whole.root)
  const states: Record<string, number> = {}
  for (let i = 0; i < RUNS; i++) {
    const { root, layout } = await device(`device-${i}`)
    await run(root, random() * length)
    const current = await currentRelease(realDisk, layout)
    const { state } = await readJournal(realDisk, layout)
    states[state] = (states[state] ?? 0) + 1
    t.ok(current === old.hash || current === next.hash)
    t.equal(await readFile(join(layout.current, 'app/main.js'), 'utf8'), current === old.hash ? 'old' : 'new')
    await run(root)
    t.equal(await currentRelease(realDisk, layout), next.hash)
    t.equal((await readJournal(realDisk, layout)).state, 'idle')
    t.equal(await readFile(join(layout.current, 'app/f59.js'), 'utf8'), next.files['app/f59.js'] ?? '')
    await rm(root, { recursive: true, force: true })
  }
  t.comment(`killed in: ${JSON.stringify(states)}`)
})
