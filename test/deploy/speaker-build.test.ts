import { spawnSync } from 'node:child_process'
import { cpSync, existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, symlinkSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import t from 'tap'
import { PACKAGE } from '../../runtime/cli/paths.js'

/** Programs that the set-up looks for on a machine without dpkg. */
const THERE = ['aplay', 'sox', 'pactl', 'make', 'g++', 'python3', 'pulseaudio']

t.test('the package speaker is built again by the next run until it is there', async t => {
  const root = mkdtempSync(join(tmpdir(), 'parley-setup-'))
  t.teardown(() => rmSync(root, { recursive: true }))
  const put = (path: string, text: string): string => {
    mkdirSync(dirname(join(root, path)), { recursive: true })
    writeFileSync(join(root, path), text, { mode: 0o755 })
    return join(root, path)
  }
  cpSync(join(PACKAGE, 'deploy/setup'), join(root, 'deploy/setup'), { recursive: true })
  for (const file of ['package-lock.json', 'node_modules/.package-lock.json', 'node_modules/speaker/package.json', 'tsconfig.json', 'node_modules/typescript/bin/tsc', 'include/node/node.h']) put(file, '')
  for (const file of ['runtime/cli/main.ts', 'dist/runtime/cli/main.js']) put(file, '') // what has no source is taken out of dist
  for (const program of [...THERE, 'npm']) put(`bin/${program}`, '#!/bin/sh\n')
  for (const program of ['sh', 'ls']) symlinkSync(`/bin/${program}`, join(root, 'bin', program))
  const npm = put('npm/bin/npm-cli.js', '')
  put('npm/node_modules/node-gyp/bin/node-gyp.js', `
    const fs = require('node:fs')
    fs.appendFileSync('${join(root, 'builds')}', 'x')
    if (!fs.existsSync('${join(root, 'compiler')}')) process.exit(1)
    fs.mkdirSync('build/Release', { recursive: true })
    fs.writeFileSync('build/Release/binding.node', '')`)
  const builds = (): number => {
    const run = spawnSync(process.execPath, [join(root, 'deploy/setup/run.mjs'), 'demo'], { encoding: 'utf8', env: { PATH: join(root, 'bin'), HOME: root, npm_execpath: npm, npm_config_nodedir: root } })
    t.equal(run.status, 0, run.stderr)
    return existsSync(join(root, 'builds')) ? readFileSync(join(root, 'builds'), 'utf8').length : 0
  }
  t.equal(builds(), 1, 'it fails')
  put('compiler', '')
  t.equal(builds(), 2, 'it is tried again')
  t.equal(builds(), 2, 'it is there')
})
