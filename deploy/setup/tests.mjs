// npm test: tap over the compiled tests, its exit code, and one plain line at the end.
import { spawn } from 'node:child_process'
import { createWriteStream, existsSync, mkdirSync, readdirSync } from 'node:fs'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import { say } from './say.mjs'

/** The longest file (10 minutes of silence) and a slow machine, s. */
const FILE_LIMIT_S = 900

function* testFiles(folder) {
  if (!existsSync(folder)) return
  for (const entry of readdirSync(folder, { withFileTypes: true }).sort((a, b) => (a.name < b.name ? -1 : 1))) {
    const path = join(folder, entry.name)
    if (entry.isDirectory()) yield* testFiles(path)
    else if (entry.name.endsWith('.test.js')) yield path
  }
}

/** `words`: files or parts of their names; none = all. One file at a time: they measure times, and share the sound of the machine. */
export async function runTests(root, words) {
  const files = [...testFiles(join(root, 'dist', 'test'))].filter(f => words.length === 0 || words.some(w => f.includes(w.replace(/\.ts$/, '.js'))))
  if (files.length === 0) {
    say(`There is no test file${words.length ? ` for ${words.join(' ')}` : ''}.`)
    return 1
  }
  mkdirSync(join(root, '.parley'), { recursive: true })
  const log = createWriteStream(join(root, '.parley', 'test.tap'))
  const args = ['--disable-coverage', '--reporter=tap', '--jobs=1', `--timeout=${FILE_LIMIT_S}`, ...files.map(f => f.slice(root.length + 1))]
  const tap = spawn(process.execPath, [join(root, 'node_modules/tap/dist/esm/run.mjs'), ...args], { cwd: root, stdio: ['ignore', 'pipe', 'inherit'] })
  for (const signal of ['SIGINT', 'SIGTERM']) process.on(signal, () => tap.kill(signal))
  const ended = new Promise(resolve => tap.once('close', (code, signal) => resolve(signal ? 1 : code)))
  let closing
  let failing = false
  for await (const line of createInterface({ input: tap.stdout })) {
    log.write(`${line}\n`)
    const total = /^# (\{ total: .*\})$/.exec(line)
    if (total) closing = total[1]
    // Shown: a line for each file, and of what failed everything.
    if (/^ *not ok /.test(line)) failing = true
    else if (/^ *(ok |# Subtest|\d+\.\.\d+)/.test(line)) failing = false
    if (failing || /^ok /.test(line)) say(line)
  }
  const code = await ended
  await new Promise(resolve => log.end(resolve))
  say('The whole record is in .parley/test.tap')
  say(plain(closing))
  return code
}

/** From tap's `# { total: 22, pass: 20, fail: 1, skip: 1 }`, in which zero fields are left out. */
export function plain(closing) {
  const of = name => Number(new RegExp(`\\b${name}: (\\d+)`).exec(closing ?? '')?.[1] ?? 0)
  return `${of('pass')} passed, ${closing === undefined ? 1 : of('fail')} failed, ${of('skip') + of('todo')} skipped`
}
