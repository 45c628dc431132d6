import { execFile } from 'node:child_process'
import { mkdir, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import t from 'tap'

const MAIN = fileURLToPath(new URL('../../runtime/cli/main.js', import.meta.url))
t.setTimeout(120_000)

t.test('provision tries the bundle that is configured, a relative path being relative to the configuration', async t => {
  const root = t.testdir({ 'answers.toml': 'device = "kiosk-7"\nsite = "north"\nvolume = 45\n' })
  await mkdir(join(root, 'etc/parley'), { recursive: true })
  await writeFile(join(root, 'etc/parley/parley.toml'), '[microphone]\ndriver = "fake"\nrepeat = true\n[speaker]\ndriver = "null"\n[bundle]\npath = "models/other"\n')
  const env = { ...process.env, PULSE_SERVER: 'unix:/nowhere' }
  const said = await new Promise<string>(resolve => void execFile(process.execPath, [MAIN, 'provision', '--root', root, '--from', join(root, 'answers.toml')], { env, timeout: 60_000 }, (_error, out, err) => resolve(out + err)))
  t.match(said, new RegExp(`\\[FAIL\\] golden utterance: .*${root}/etc/parley/models/other`))
})
