#!/usr/bin/env node
// Compiles notify.c beside the compiled TypeScript: node deploy/notify/build.mjs. Plain Node, no node-gyp: one file, one call.
// Without a compiler or Node's headers it says so and ends with 0: the slower systemd-notify does the same. What was built
// before and can be loaded here stays: a device has no compiler, and its release brings the addon along.
import { spawnSync } from 'node:child_process'
import { existsSync, mkdirSync, renameSync, statSync } from 'node:fs'
import { createRequire } from 'node:module'
import { dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'

const here = dirname(fileURLToPath(import.meta.url))
const root = dirname(dirname(here))
const out = join(root, 'dist/deploy/notify/notify.node')
const source = join(here, 'notify.c')
const prefix = dirname(dirname(process.execPath))
const headers = [process.env.npm_config_nodedir, prefix, '/usr'].filter(Boolean).map(p => join(p, 'include/node')).find(p => existsSync(join(p, 'node_api.h')))
if (isGood()) {
  // nothing to do
} else if (!headers) {
  console.error('notify: Node\'s headers are missing; systemd-notify is used instead')
} else {
  mkdirSync(dirname(out), { recursive: true })
  const { status, error } = spawnSync(process.env.CC ?? 'cc', ['-O2', '-Wall', '-Wextra', '-shared', '-fPIC', `-I${headers}`, source, '-o', `${out}.new`], { stdio: 'inherit' })
  if (status === 0) renameSync(`${out}.new`, out)
  else console.error(`notify: not compiled (${error?.message ?? `cc ended with ${status}`}); systemd-notify is used instead`)
}

function isGood() {
  try {
    return statSync(out).mtimeMs >= statSync(source).mtimeMs && typeof createRequire(import.meta.url)(out).send === 'function'
  } catch {
    return false // not there, or for another machine
  }
}
