import { execFile } from 'node:child_process'
import { mkdir, mkdtemp, readFile, readlink, rm, symlink, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { promisify } from 'node:util'
import t from 'tap'
import { Layout } from '../../deploy/update/layout.js'
import { realDisk } from '../../deploy/update/real-disk.js'
import { guard } from './guard-model.js'
import { seeded } from './sim-disk.js'

const SCRIPT = new URL('../../../deploy/update/boot-guard.sh', import.meta.url).pathname
const run = promisify(execFile)
// Hundreds of short processes: seconds on an idle machine, minutes on a busy one.
t.setTimeout(240_000)
const folder = await mkdtemp(join(tmpdir(), 'parley-guard-'))
t.teardown(() => rm(folder, { recursive: true, force: true }))
const A = 'a'.repeat(64)
const B = 'b'.repeat(64)

async function device(state: { current: string; trial?: string; boots?: string; without?: string }): Promise<Layout> {
  const root = await mkdtemp(join(folder, 'root-'))
  const layout = new Layout(root)
  await mkdir(layout.state, { recursive: true })
  for (const hash of [A, B]) if (hash !== state.without) await mkdir(layout.release(hash), { recursive: true })
  await symlink(`releases/${state.current}`, layout.current)
  if (state.trial !== undefined) await writeFile(layout.trial, state.trial)
  if (state.boots !== undefined) await writeFile(layout.boots, state.boots)
  return layout
}

const start = (layout: Layout): Promise<unknown> => run('sh', [SCRIPT, layout.app.slice(0, -'/opt/parley'.length)])

async function picture(layout: Layout): Promise<string> {
  const read = (path: string): Promise<string> => readFile(path, 'utf8').catch(() => '(none)')
  return [await readlink(layout.current), ...(await Promise.all([layout.trial, layout.boots, layout.flipped].map(read)))].join('|')
}

t.test('the boot guard lets a release on trial start three times, and then goes back to the one before', async t => {
  const layout = await device({ current: B, trial: `release=${B} previous=${A}\n` })
  for (let i = 1; i <= 3; i++) {
    await start(layout)
    t.equal(await readlink(layout.current), `releases/${B}`)
    t.equal(await readFile(layout.boots, 'utf8'), `release=${B} count=${i}\n`)
  }
  await start(layout)
  t.equal(await readlink(layout.current), `releases/${A}`)
  t.match(await readFile(layout.flipped, 'utf8'), /did not stay up/)
  t.rejects(readFile(layout.trial), { code: 'ENOENT' })
})

t.test('on a disk that takes nothing the starts are counted all the same', async t => {
  const layout = await device({ current: B, trial: `release=${B} previous=${A}\n`, boots: `release=${B} count=1\n` })
  await mkdir(join(layout.state, '.boots.new')) // in the way of the file to which the count is written first
  for (const boots of [2, 3]) {
    await start(layout)
    t.equal(await readlink(layout.current), `releases/${B}`, `start ${boots}`)
  }
  await start(layout)
  t.equal(await readlink(layout.current), `releases/${A}`)
})

t.test('without a trial the boot guard touches nothing', async t => {
  const layout = await device({ current: A })
  const before = await picture(layout)
  await start(layout)
  t.equal(await picture(layout), before)
})

t.test('the boot guard never points at a release that is not there', async t => {
  const layout = await device({ current: B, trial: `release=${B} previous=${A}\n`, boots: `release=${B} count=3\n`, without: A })
  await start(layout)
  t.equal(await readlink(layout.current), `releases/${B}`)
})

t.test('the shell script and its model, which the power cuts are tried with, do the same in 20 random states', async t => {
  const random = seeded(7)
  const pick = <T>(...of: T[]): T => of[Math.floor(random() * of.length)] as T
  for (let i = 0; i < 20; i++) {
    const state = {
      current: pick(A, B),
      ...pick({}, { trial: `release=${B} previous=${A}\n` }, { trial: `release=${B} previous=${A}\n` }, { trial: 'torn' }, { trial: '' }),
      ...pick({}, { boots: `release=${B} count=${pick(1, 2, 3, 4)}\n` }, { boots: `release=${A} count=3\n` }, { boots: '\0\0' }),
      ...pick({}, {}, { without: A }),
    }
    const [shell, model] = [await device(state), await device(state)]
    await start(shell)
    await guard(realDisk, model)
    t.equal(await picture(shell), await picture(model), JSON.stringify(state))
  }
})
