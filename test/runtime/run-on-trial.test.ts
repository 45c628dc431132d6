import { execFile } from 'node:child_process'
import { cp, mkdir, readFile, rm, symlink, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import t from 'tap'
import { Layout } from '../../deploy/update/layout.js'
import { tinyBundle } from '../models/tiny-bundle.js'
import { Folder } from '../telemetry/kit.js'

const MAIN = fileURLToPath(new URL('../../runtime/cli/main.js', import.meta.url))
const RELEASE = 'a'.repeat(64)

t.test('`parley run` on trial below PARLEY_ROOT ends when the release\'s own bundle does not answer, and its status says so; after the trial it talks with the owner\'s', { timeout: 120_000 }, async t => {
  await using root = await Folder.make()
  await using owner = await tinyBundle()
  await using mute = await tinyBundle(manifest => { manifest.golden.expect.words = ['muffin'] })
  const layout = new Layout(root.path)
  await cp(mute.folder, join(layout.release(RELEASE), 'bundle'), { recursive: true })
  await symlink(`releases/${RELEASE}`, layout.current)
  await mkdir(layout.state, { recursive: true })
  await writeFile(layout.trial, `release=${RELEASE} previous=${'b'.repeat(64)}\n`)
  await writeFile(join(root.path, 'run.toml'), `[microphone]\ndriver = "fake"\n[speaker]\ndriver = "null"\n[bundle]\npath = "${owner.folder}"\n`)
  const run = async (): Promise<{ code: number; status: object }> => {
    const env = { ...process.env, PARLEY_ROOT: root.path, RUNTIME_DIRECTORY: root.path, PARLEY_CACHE: join(root.path, 'cache') }
    const code = await new Promise<number>(resolve => execFile(process.execPath, [MAIN, 'run', '--config', 'run.toml'], { cwd: root.path, env, timeout: 50_000 }, error => resolve(Number(error?.code ?? 0))))
    return { code, status: JSON.parse(await readFile(join(root.path, 'status.json'), 'utf8')) as object }
  }
  t.match(await run(), { code: 7, status: { release: RELEASE, selfTest: 'failed' } })
  await rm(layout.trial)
  t.match(await run(), { code: 1, status: { release: RELEASE, selfTest: 'passed' } }, 'it ends with its recording')
})
