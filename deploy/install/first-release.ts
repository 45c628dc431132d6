import { cp, mkdtemp, readFile, rm, stat } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join, resolve } from 'node:path'
import { parseArgs } from 'node:util'
import { describe } from '../../base/errors.js'
import { writeFileAtomic } from '../../base/files.js'
import { isProgram, processIo, type Io } from '../io.js'
import { build } from '../release/build.js'
import { switchLink } from '../update/atomic.js'
import { currentRelease } from '../update/journal.js'
import { copyDependencies } from './dependencies.js'
import { Layout, linkTo } from '../update/layout.js'
import { realDisk } from '../update/real-disk.js'
import { stage } from '../update/stage.js'
import { Store } from '../update/store.js'

/** What of a source tree runs on a device. */
const APP = ['package.json', 'LICENSE', 'dist', 'docs', 'deploy', 'systemd']
/** Tests, and what only helps to find errors in them. */
const NOT_APP = /\/dist\/(test|\.tsbuildinfo|\.built)(\/|$)|\.js\.map$/

/**
 * Makes a release out of a built source tree, in the same way in which an update makes one, so that the first update can keep
 * its unchanged parts. Node finds `node_modules` beside `app`.
 */
export async function firstRelease(from: string, root: string, options: { sequence?: number; switch?: boolean } = {}): Promise<string> {
  const layout = new Layout(root)
  const { version } = JSON.parse(await readFile(join(from, 'package.json'), 'utf8')) as { version: string }
  const temp = await mkdtemp(join(tmpdir(), 'parley-release-'))
  try {
    for (const name of APP) {
      if (!(await stat(join(from, name)).catch(() => undefined))) continue // not every tree has docs
      await cp(join(from, name), join(temp, 'app', name), { recursive: true, verbatimSymlinks: true, filter: path => !NOT_APP.test(path) })
    }
    const parts: Record<string, string> = { app: join(temp, 'app'), node_modules: join(temp, 'node_modules') }
    await copyDependencies(from, parts['node_modules'] as string)
    if (await stat(join(from, 'models/pico')).catch(() => undefined)) parts['bundle'] = join(from, 'models/pico')
    await realDisk.makeFolder(layout.state)
    await realDisk.makeFolder(layout.releases)
    const packed = join(layout.state, 'packing')
    const { bytes, manifest } = await build({ version, sequence: options.sequence ?? 1, arch: process.arch === 'arm64' ? 'arm64' : 'x64', parts }, packed)
    await realDisk.makeFolder(layout.store)
    for (const { sha256 } of manifest.parts) await cp(join(packed, 'blobs', sha256), join(layout.store, sha256))
    await rm(packed, { recursive: true, force: true })
    const hash = await stage(realDisk, layout, new Store(realDisk, layout.store), bytes)
    if (options.switch !== false && (await currentRelease(realDisk, layout)) !== hash) await switchLink(realDisk, layout.current, linkTo(hash))
    return hash
  } finally {
    await rm(temp, { recursive: true, force: true })
  }
}

export async function installMain(argv: readonly string[], io: Io): Promise<number> {
  const { values } = parseArgs({ args: [...argv], options: { from: { type: 'string' }, root: { type: 'string', default: '/' }, trust: { type: 'string' }, sequence: { type: 'string', default: '1' } } })
  if (values.from === undefined) throw new Error('--from DIR is missing')
  const hash = await firstRelease(resolve(values.from), values.root, { sequence: Number(values.sequence) })
  if (values.trust !== undefined) await writeFileAtomic(join(values.root, 'etc/parley/root.json'), await readFile(values.trust))
  io.out(hash)
  return 0
}

if (isProgram(import.meta.url)) {
  process.exitCode = await installMain(process.argv.slice(2), processIo).catch(error => {
    process.stderr.write(`parley install: ${describe(error)}\n`)
    return 5
  })
}
