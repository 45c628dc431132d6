import { mkdir, mkdtemp, readFile, readdir, rm, writeFile } from 'node:fs/promises'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import t, { type Test } from 'tap'
import { ManualClock } from '../../base/clock.js'
import { releaseMain } from '../../deploy/release/main.js'
import { currentRelease } from '../../deploy/update/journal.js'
import { Layout } from '../../deploy/update/layout.js'
import { updateMain } from '../../deploy/update/main.js'
import { realDisk } from '../../deploy/update/real-disk.js'
import { writeStatus } from '../../deploy/update/status.js'
import { firstRelease } from '../../deploy/install/first-release.js'

t.setTimeout(120_000)
const START = Date.UTC(2026, 5, 1)

async function vendor(t: Test) {
  const folder = await mkdtemp(join(tmpdir(), 'parley-release-'))
  t.teardown(() => rm(folder, { recursive: true, force: true }))
  const lines: string[] = []
  const io = { out: (line: string) => void lines.push(line), wall: () => START }
  const at = (name: string): string => join(folder, name)
  const run = (words: string, ...more: string[]): Promise<number> => releaseMain([...words.split(' '), '--repo', at('repo'), ...more], io)
  const keys = ['--keys', at('keys')]
  await releaseMain(['keys', ...keys, '--name', 'a', '--name', 'b', '--name', 't1', '--name', 't2', '--name', 's', '--name', 'n'], io)
  await run('init --root a,b:2 --targets t1,t2:2 --snapshot s:1 --timestamp n:1', ...keys)
  const build = async (version: string, sequence: number, main: string): Promise<void> => {
    await mkdir(at('app'), { recursive: true })
    await mkdir(at('bundle'), { recursive: true })
    await writeFile(at('app/main.js'), main)
    await writeFile(at('bundle/model.onnx'), 'w'.repeat(100_000))
    await run(`build --version ${version} --sequence ${sequence} --arch ${process.arch}`, '--out', at('manifest.json'), '--part', `app=${at('app')}`, '--part', `bundle=${at('bundle')}`)
  }
  const publish = async (): Promise<void> => {
    await run('sign --key t1', ...keys, '--manifest', at('manifest.json'))
    await run('sign --key t2', ...keys)
    await run('publish --snapshot s --timestamp n', ...keys)
  }
  return { folder, at, run, keys, build, publish, lines, io }
}

t.test('the same tree gives the same bytes', async t => {
  const v = await vendor(t)
  await v.build('1.0', 1, 'one')
  const first = await readFile(v.at('manifest.json'))
  await v.build('1.0', 1, 'one')
  t.ok((await readFile(v.at('manifest.json'))).equals(first))
})

t.test('two signers sign one after the other; one is not enough', async t => {
  const v = await vendor(t)
  await v.build('1.0', 1, 'one')
  await v.run('sign --key t1', ...v.keys, '--manifest', v.at('manifest.json'))
  t.equal(v.lines.at(-1), '1 of 2 signatures')
  await t.rejects(v.run('publish --snapshot s --timestamp n', ...v.keys), { code: 'release-unsigned' })
})

t.test('a key that exists is never overwritten', async t => {
  const v = await vendor(t)
  await t.rejects(releaseMain(['keys', ...v.keys, '--name', 'a'], v.io))
})

t.test('a wrong word is a usage error', async t => {
  const v = await vendor(t)
  await t.rejects(v.run('bild'), { code: 'usage' })
  await t.rejects(v.run('publish'), { code: 'usage' })
})

for (const way of ['over HTTP', 'from a USB stick'] as const) {
  t.test(`a device goes from its first release to the published one ${way}, and commits it`, async t => {
    const v = await vendor(t)
    const root = v.at('device')
    await v.build('1.0', 1, 'one')
    await mkdir(v.at('tree/dist'), { recursive: true })
    await writeFile(v.at('tree/package.json'), '{"version":"0.9.0"}')
    await mkdir(v.at('tree/models/pico'), { recursive: true })
    await writeFile(v.at('tree/models/pico/model.onnx'), 'w'.repeat(100_000))
    const old = await firstRelease(v.at('tree'), root)
    await v.build('2.0', 2, 'two')
    await v.publish()
    await mkdir(join(root, 'etc/parley'), { recursive: true })
    await mkdir(join(root, 'run/parley'), { recursive: true })
    await writeFile(join(root, 'etc/parley/root.json'), await readFile(v.at('repo/metadata/1.root.json')))
    const asked: string[] = []
    const server = createServer(async (request, response) => {
      asked.push(request.url ?? '')
      const bytes = await readFile(join(v.at('repo'), decodeURIComponent(request.url ?? ''))).catch(() => undefined)
      response.writeHead(bytes ? 200 : 404).end(bytes)
    })
    await new Promise<void>(resolve => server.listen(0, '127.0.0.1', resolve))
    t.teardown(() => void (server.closeAllConnections(), server.close()))
    const from = way === 'over HTTP' ? `http://127.0.0.1:${(server.address() as AddressInfo).port}` : v.at('repo')
    await writeFile(join(root, 'etc/parley/parley.toml'), `[update]\nfrom = "${from}"\nquietMinutes = 0\nreserveMegabytes = 0\n`)
    await mkdir(join(root, 'run/parley-update'), { recursive: true }) // systemd's RuntimeDirectory
    const clock = new ManualClock(START)
    const layout = new Layout(root)
    const around = { root, clock, restart: async () => void (await writeStatus({ release: (await currentRelease(realDisk, layout)) ?? '', startedAt: START, selfTest: 'passed', broker: 'reached' }, join(root, 'run/parley/status.json'))) }
    t.equal(await updateMain(['advance'], v.io, around), 0, v.lines.at(-1) ?? '')
    const now = await currentRelease(realDisk, layout)
    t.not(now, old)
    t.equal(await readFile(join(root, 'opt/parley/current/app/main.js'), 'utf8'), 'two')
    t.same((await readdir(layout.releases)).sort(), [old, now].sort())
    if (way === 'over HTTP') t.equal(asked.filter(p => p.startsWith('/blobs/')).length, 1, 'the bundle did not change and was not fetched')
    await updateMain(['status'], v.io, around)
    t.match(JSON.parse(v.lines.at(-1) ?? ''), { current: now, journal: { state: 'idle' }, now: { state: 'idle' } })
  })
}
