import { spawnSync } from 'node:child_process'
import { readFileSync, symlinkSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import t from 'tap'
import { tempFolder, withoutOpencv } from './kit.js'

const setUp = (env: NodeJS.ProcessEnv): ReturnType<typeof spawnSync> => spawnSync(process.execPath, ['deploy/setup/camera.mjs'], { encoding: 'utf8', timeout: 30_000, env })

t.test('set up once, it is checked again in seconds and changes nothing', { skip: withoutOpencv() }, async t => {
  const began = performance.now()
  const run = setUp(process.env)
  t.equal(run.status, 0, String(run.stderr))
  t.match(run.stdout, /binding is ready: .*checked in/)
  t.ok(performance.now() - began < 10_000)
})

t.test('on a machine without the tools it says exactly what is missing', async t => {
  const bin = tempFolder()
  symlinkSync(process.execPath, join(bin, 'node'))
  const run = setUp({ PATH: bin, HOME: tempFolder() })
  t.equal(run.status, 1)
  t.match(run.stdout, /Missing: .*g\+\+ \(the C\+\+ compiler\).*ffmpeg/)
  t.match(run.stderr, /no apt-get/)
})

t.test('nothing that is installed is removed for it', async t => {
  const bin = tempFolder()
  const asked = join(bin, 'asked')
  symlinkSync(process.execPath, join(bin, 'node'))
  writeFileSync(join(bin, 'apt-get'), `#!/bin/sh\necho "$@" >> ${asked}\n`, { mode: 0o755 })
  const run = setUp({ PATH: bin, HOME: tempFolder() })
  t.match(process.getuid?.() === 0 ? readFileSync(asked, 'utf8') : run.stderr, /install -y .*--no-remove/)
})
