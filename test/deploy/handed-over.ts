import { copyFile, cp, mkdir, mkdtemp, realpath, rm, symlink } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { Test } from 'tap'
import { ROOT } from './tree.js'

/** What a vendor hands over: this very tree, built, with a node and a model in it. In a container it needs `/dependencies`. */
export async function handedOver(t: Test, bundle: string): Promise<string> {
  const from = await mkdtemp(join(tmpdir(), 'parley-vendor-tree-'))
  t.teardown(() => rm(from, { recursive: true, force: true }))
  for (const name of ['dist', 'deploy', 'systemd', 'docs', 'package.json', 'package-lock.json']) await cp(join(ROOT, name), join(from, name), { recursive: true })
  await mkdir(join(from, 'bin'))
  await copyFile(await realpath(process.execPath), join(from, 'bin/node'))
  await cp(bundle, join(from, 'models/pico'), { recursive: true })
  await symlink('/dependencies', join(from, 'node_modules'))
  return from
}
