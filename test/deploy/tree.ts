import { cp, mkdir, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { type Test } from 'tap'

export const ROOT = new URL('../../../', import.meta.url).pathname

/** A source tree that is built and small: our own `deploy` and `base`, zod, and a program that is `main`. */
export async function sourceTree(t: Test, main: string, version = '1.0.0'): Promise<string> {
  const from = await mkdtemp(join(tmpdir(), 'parley-tree-'))
  t.teardown(() => rm(from, { recursive: true, force: true }))
  for (const folder of ['dist/base', 'dist/deploy', 'deploy', 'systemd']) await cp(join(ROOT, folder), join(from, folder), { recursive: true, filter: path => !/deploy\/setup/.test(path) })
  for (const name of await closure(['zod', 'smol-toml', 'tuf-js', '@tufjs/models', '@tufjs/canonical-json'])) await cp(join(ROOT, 'node_modules', name), join(from, 'node_modules', name), { recursive: true, filter: path => !/\/zod\/(src|v3|locales)(\/|$)|\.(map|ts|md)$/.test(path) })
  await mkdir(join(from, 'dist/runtime/cli'), { recursive: true })
  await writeFile(join(from, 'dist/runtime/cli/main.js'), main, { mode: 0o755 })
  await writeFile(join(from, 'package.json'), JSON.stringify({ name: 'parley', version, type: 'module' }))
  await mkdir(join(from, 'models/pico'), { recursive: true })
  await writeFile(join(from, 'models/pico/bundle.json'), '{}')
  return from
}

/** These packages and all that they need. */
async function closure(names: readonly string[]): Promise<string[]> {
  const found = new Set<string>()
  const todo = [...names]
  for (let name = todo.pop(); name !== undefined; name = todo.pop()) {
    if (found.has(name)) continue
    found.add(name)
    const { dependencies = {} } = JSON.parse(await readFile(join(ROOT, 'node_modules', name, 'package.json'), 'utf8')) as { dependencies?: Record<string, string> }
    todo.push(...Object.keys(dependencies))
  }
  return [...found]
}
