#!/usr/bin/env node
// Compiles notify.c beside the compiled TypeScript: node deploy/notify/build.mjs. Plain Node, no node-gyp: one file, one call.
// Without a compiler or Node's headers it says so and ends with 0: the slower systemd-notify does the same.
import { spawnSync } from 'node:child_process'
import { existsSync, mkdirSync, renameSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'

const here = dirname(fileURLToPath(import.meta.url))
const root = dirname(dirname(here))
const out = join(root, 'dist/deploy/notify/notify.node')
const prefix = dirname(dirname(process.execPath))
const headers = [process.env.npm_config_nodedir, prefix, '/usr'].filter(Boolean).map(p => join(p, 'include/node')).find(p => existsSync(join(p, 'node_api.h')))
if (!headers) {
  console.error('notify: Node\'s headers are missing; systemd-notify is used instead')
} else {
  mkdirSync(dirname(out), { recursive: true })
  const { status, error } = spawnSync(process.env.CC ?? 'cc', ['-O2', '-Wall', '-Wextra', '-shared', '-fPIC', `-I${headers}`, join(here, 'notify.c'), '-o', `${out}.new`], { stdio: 'inherit' })
  if (status === 0) renameSync(`${out}.new`, out)
  else console.error(`notify: not compiled (${error?.message ?? `cc ended with ${status}`}); systemd-notify is used instead`)
}
