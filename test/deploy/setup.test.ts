import { execFile } from 'node:child_process'
import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
import t from 'tap'
import { PACKAGE } from '../../runtime/cli/paths.js'

t.test('every npm task works in a fresh clone: it sets up and builds what it stands on', async t => {
  const { scripts } = JSON.parse(await readFile(join(PACKAGE, 'package.json'), 'utf8')) as { scripts: Record<string, string> }
  const usage = await new Promise<string>(resolve => execFile(process.execPath, [join(PACKAGE, 'deploy/setup/run.mjs')], (_error, _out, err) => resolve(err)))
  const tasks = /run\.mjs (\S+)/.exec(usage)?.[1]?.split('|') ?? []
  for (const [name, line] of Object.entries(scripts)) {
    if (name === 'build' || name === 'setup:camera') continue // what the set-up itself is made of
    t.equal(line, `node deploy/setup/run.mjs ${name}`)
    t.ok(tasks.includes(name), `the set-up knows ${name}`)
  }
})
