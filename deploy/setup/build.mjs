// tsc, only when a source has changed; and what no longer has a source is taken out of dist, so that no dead test runs.
import { spawnSync } from 'node:child_process'
import { createHash } from 'node:crypto'
import { chmodSync, existsSync, readFileSync, readdirSync, rmSync, statSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { Missing, say } from './say.mjs'

/** As in tsconfig.json. */
const FOLDERS = ['base', 'drivers', 'models', 'runtime', 'deploy', 'test']
const EXCLUDED = ['models/train']

function* files(root, folder) {
  if (EXCLUDED.includes(folder) || !existsSync(join(root, folder))) return
  for (const entry of readdirSync(join(root, folder), { withFileTypes: true })) {
    const path = `${folder}/${entry.name}`
    if (entry.isDirectory() && entry.name !== 'node_modules') yield* files(root, path)
    else if (entry.isFile()) yield path
  }
}

function fingerprint(root) {
  const hash = createHash('sha256')
  const sources = FOLDERS.flatMap(f => [...files(root, f)]).filter(f => /\.[cm]?ts$/.test(f))
  for (const file of [...sources, 'tsconfig.json', 'package-lock.json'].sort()) {
    const { size, mtimeMs } = statSync(join(root, file))
    hash.update(`${file} ${size} ${mtimeMs}\n`)
  }
  return hash.digest('hex')
}

export function build(root) {
  const mark = join(root, 'dist', '.built')
  const wanted = fingerprint(root)
  if (existsSync(mark) && readFileSync(mark, 'utf8') === wanted) return
  say('Building …')
  const tsc = spawnSync(process.execPath, [join(root, 'node_modules/typescript/bin/tsc'), '-p', root], { cwd: root, stdio: ['ignore', 'inherit', 'inherit'] })
  if (tsc.status !== 0) throw new Missing('The build failed (tsc\'s words are above).')
  prune(root)
  const cli = join(root, 'dist/runtime/cli/main.js')
  if (existsSync(cli)) chmodSync(cli, 0o755)
  writeFileSync(mark, wanted)
}

function prune(root) {
  for (const file of files(root, 'dist')) {
    const source = file.replace(/^dist\//, '').replace(/\.map$/, '')
    const match = /\.([cm]?)js$/.exec(source)
    if (match && !existsSync(join(root, source.replace(/\.[cm]?js$/, `.${match[1]}ts`)))) rmSync(join(root, file))
  }
}
