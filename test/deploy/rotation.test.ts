import { execFile } from 'node:child_process'
import { mkdir, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import t, { type Test } from 'tap'
import { systemClock } from '../../base/clock.js'
import { firstRelease } from '../../deploy/install/first-release.js'
import { currentRelease } from '../../deploy/update/journal.js'
import { Layout } from '../../deploy/update/layout.js'
import { updateMain } from '../../deploy/update/main.js'
import { realDisk } from '../../deploy/update/real-disk.js'
import { writeStatus } from '../../deploy/update/status.js'

// Each word to the vendor is a process: half a second on an idle machine.
t.setTimeout(240_000)
const MAIN = fileURLToPath(new URL('../../runtime/cli/main.js', import.meta.url))
const DAY = 86_400_000

interface Said { readonly code: number; readonly out: string; readonly err: string }

/** The vendor at his command line, with three root keys of which two must sign, and two signers of releases. */
class Desk {
  #sequence = 1

  private constructor(readonly folder: string) {}

  static async open(t: Test): Promise<Desk> {
    const folder = await mkdtemp(join(tmpdir(), 'parley-rotation-'))
    t.teardown(() => rm(folder, { recursive: true, force: true }))
    const desk = new Desk(folder)
    await desk.must('keys', ...['r1', 'r2', 'r3', 'r4', 't1', 't2', 't3', 's', 'n'].flatMap(name => ['--name', name]))
    await desk.must('init', '--root', 'r1,r2,r3:2', '--targets', 't1,t2:2', '--snapshot', 's:1', '--timestamp', 'n:1')
    return desk
  }

  at(name: string): string {
    return join(this.folder, name)
  }

  say(verb: string, ...args: string[]): Promise<Said> {
    const common = ['--keys', this.at('keys'), ...(verb === 'keys' ? [] : ['--repo', this.at('repo')])]
    return new Promise(resolve => {
      execFile(process.execPath, [MAIN, 'release', verb, ...common, ...args], { timeout: 60_000 }, (error, out, err) => resolve({ code: typeof error?.code === 'number' ? error.code : error ? -1 : 0, out, err }))
    })
  }

  async must(verb: string, ...args: string[]): Promise<string> {
    const { code, out, err } = await this.say(verb, ...args)
    if (code !== 0) throw new Error(`release ${verb} ended with ${code}: ${err}`)
    return out
  }

  /** Builds the next release and signs it with these keys; it is not published yet. */
  async make(...keys: string[]): Promise<string> {
    const sequence = String(++this.#sequence)
    await mkdir(this.at('app'), { recursive: true })
    await writeFile(this.at('app/main.js'), sequence)
    await this.must('build', '--version', `${sequence}.0.0`, '--sequence', sequence, '--arch', process.arch, '--out', this.at('m.json'), '--part', `app=${this.at('app')}`)
    return this.must('sign', '--manifest', this.at('m.json'), ...keys.flatMap(key => ['--key', key]))
  }

  publish(): Promise<Said> {
    return this.say('publish', '--snapshot', 's', '--timestamp', 'n')
  }
}

/** Installed with the vendor's first root, and never told of another; follows his folder with the updater's own command. */
async function installed(desk: Desk, name: string) {
  const root = desk.at(name)
  for (const folder of ['etc/parley', 'run/parley', 'run/parley-update']) await mkdir(join(root, folder), { recursive: true })
  await mkdir(desk.at('tree/dist'), { recursive: true })
  await writeFile(desk.at('tree/package.json'), '{"version":"0.9.0"}')
  await firstRelease(desk.at('tree'), root)
  await writeFile(join(root, 'etc/parley/root.json'), await readFile(desk.at('repo/metadata/1.root.json')))
  await writeFile(join(root, 'etc/parley/parley.toml'), `[update]\nfrom = "${desk.at('repo')}"\nquietMinutes = 0\nreserveMegabytes = 0\n`)
  const lines: string[] = []
  const restart = async (): Promise<void> => writeStatus({ release: (await currentRelease(realDisk, new Layout(root))) ?? '', startedAt: 0, selfTest: 'passed', broker: 'reached' }, join(root, 'run/parley/status.json'))
  const update = async (): Promise<{ code: number; runs: string; said: string }> => {
    const code = await updateMain(['advance'], { out: line => void lines.push(line), wall: () => Date.now() }, { root, clock: systemClock, restart })
    const runs = await readFile(join(root, 'opt/parley/current/app/main.js'), 'utf8').catch(() => 'the first')
    return { code, runs, said: lines.at(-1) ?? '' }
  }
  return { update }
}

t.test('a vendor changes his root keys at the command line, and a device that knows only the first root follows', async t => {
  const desk = await Desk.open(t)
  const device = await installed(desk, 'device')
  t.match(await desk.make('t1', 't2'), /2 of 2 signatures/)
  t.equal((await desk.publish()).code, 0)
  t.match(await device.update(), { code: 0, runs: '2' })

  const alone = await desk.say('rotate', '--role', 'root', '--to', 'r4:1', '--root', 'r1')
  t.match(alone, { code: 5, err: /lacks signatures/ }, 'one of the old keys is not enough')
  t.match(await desk.must('rotate', '--role', 'root', '--to', 'r2,r3,r4:2', '--root', 'r1,r2'), /the keys of root are new/)
  t.match(await desk.say('rotate', '--role', 'timestamp', '--to', 'n:1', '--root', 'r1,r2'), { code: 5 }, 'r1 is withdrawn, and r2 is one of two')

  await desk.make('t1', 't2')
  t.equal((await desk.publish()).code, 0)
  t.match(await device.update(), { code: 0, runs: '3' })
  t.match(await (await installed(desk, 'new-device')).update(), { code: 0, runs: '3' }, 'also one that never saw the release between')
})

t.test('after the signers of releases have changed, what the old ones sign is not published, and devices follow the new ones', async t => {
  const desk = await Desk.open(t)
  const device = await installed(desk, 'device')
  await desk.make('t1', 't2')
  await desk.publish()
  await device.update()
  await desk.must('rotate', '--role', 'targets', '--to', 't2,t3:2', '--root', 'r1,r3')
  t.match(await desk.publish(), { code: 5, err: /lacks signatures/ }, 'not even what was published: devices would refuse it')
  t.match(await desk.make('t1', 't2'), /1 of 2 signatures/)
  t.match(await desk.publish(), { code: 5 })
  t.match(await desk.must('sign', '--key', 't3'), /2 of 2 signatures/)
  t.equal((await desk.publish()).code, 0)
  t.match(await device.update(), { code: 0, runs: '3' })
})

t.test('new keys for the signers need no new release: what is published is signed again', async t => {
  const desk = await Desk.open(t)
  const device = await installed(desk, 'device')
  await desk.make('t1', 't2')
  await desk.publish()
  await desk.must('rotate', '--role', 'targets', '--to', 't3:1', '--root', 'r1,r2')
  t.match(await desk.must('sign', '--key', 't3'), /1 of 1 signatures/)
  t.equal((await desk.publish()).code, 0)
  t.match(await device.update(), { code: 0, runs: '2' })
})

t.test('without news the signatures of a release are renewed for another time', async t => {
  const desk = await Desk.open(t)
  await desk.make('t1', 't2')
  await desk.publish()
  t.match(await desk.say('sign', '--key', 't1'), { code: 5, err: /nothing to sign/ })
  await desk.must('sign', '--renew', '--key', 't1')
  t.match(await desk.must('sign', '--renew', '--key', 't2'), /2 of 2 signatures/)
  t.equal((await desk.publish()).code, 0)
  const { signed } = JSON.parse(await readFile(desk.at('repo/metadata/2.targets.json'), 'utf8')) as { signed: { expires: string } }
  t.ok(Date.parse(signed.expires) > Date.now() + 89 * DAY)
  t.match(await (await installed(desk, 'device')).update(), { code: 0, runs: '2' })
})
