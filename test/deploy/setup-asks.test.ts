import { spawnSync } from 'node:child_process'
import { cpSync, existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, symlinkSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import t, { type Test } from 'tap'
import ts from 'typescript'
import { PACKAGE } from '../../runtime/cli/paths.js'

interface Machine {
  /** The set-up's words and exit code. `answer`: what a person at the terminal types; without it nobody is there. */
  setUp(entry: string, answer?: string): { code: number | null; words: string }
  /** What was run with apt-get or sudo, a line each; looking for their versions is nothing. */
  ran(): string[]
}

/** A copy of the set-up on a machine that lacks every package, with a person who is not root. Its sudo and apt-get only write down what they are told, and fail. */
function machine(t: Test, programs: readonly ('sudo' | 'apt-get')[]): Machine {
  const root = mkdtempSync(join(tmpdir(), 'parley-ask-'))
  t.teardown(() => rmSync(root, { recursive: true }))
  const [bin, log] = [join(root, 'bin'), join(root, 'ran')]
  mkdirSync(bin)
  cpSync(join(PACKAGE, 'deploy/setup'), join(root, 'deploy/setup'), { recursive: true })
  writeFileSync(join(root, 'package-lock.json'), '{}')
  writeFileSync(join(root, 'person.cjs'), 'process.getuid = () => 1000\n')
  symlinkSync(process.execPath, join(bin, 'node'))
  for (const program of ['sh', 'ls']) symlinkSync(`/bin/${program}`, join(bin, program))
  for (const name of programs) writeFileSync(join(bin, name), `#!/bin/sh\n[ "$1" = --version ] && exit 0\necho "${name} $*" >> ${log}\nexit 100\n`, { mode: 0o755 })
  return {
    setUp(entry, answer) {
      const line = ['node', '--require', join(root, 'person.cjs'), join(root, 'deploy/setup', entry), ...(entry === 'run.mjs' ? ['demo'] : [])]
      const options = { encoding: 'utf8' as const, timeout: 30_000, env: { PATH: bin, HOME: root, SHELL: '/bin/sh' } }
      const run = answer === undefined
        ? spawnSync(process.execPath, line.slice(1), { ...options, input: '' })
        : spawnSync('/usr/bin/script', ['-qec', line.join(' '), '/dev/null'], { ...options, input: `${answer}\n` })
      return { code: run.status, words: `${run.stdout}${run.stderr}`.replaceAll('\r', '') }
    },
    ran: () => (existsSync(log) ? readFileSync(log, 'utf8').trim().split('\n') : []),
  }
}

for (const [entry, code] of [['run.mjs', 4], ['camera.mjs', 1]] as const) {
  t.test(`${entry}: answered no, it runs nothing and says how to do it by hand`, async t => {
    const here = machine(t, ['sudo', 'apt-get'])
    const result = here.setUp(entry, 'n')
    t.equal(result.code, code, result.words)
    t.match(result.words, /Nothing was changed\. Install by hand, then run again:\n {2}sudo apt-get install -y /)
    t.same(here.ran(), [])
  })

  t.test(`${entry}: with nobody to be asked it runs nothing and says so`, async t => {
    const here = machine(t, ['sudo', 'apt-get'])
    const result = here.setUp(entry)
    t.equal(result.code, code, result.words)
    t.match(result.words, /nobody is here to be asked\. Install by hand, then run again:\n {2}sudo apt-get install -y /)
    t.same(here.ran(), [])
  })

  t.test(`${entry}: without sudo it runs nothing and says so`, async t => {
    const here = machine(t, ['apt-get'])
    const result = here.setUp(entry, 'y')
    t.equal(result.code, code, result.words)
    t.match(result.words, /there is no sudo\. Install by hand/)
    t.same(here.ran(), [])
  })

  t.test(`${entry}: without apt-get it runs nothing and says so`, async t => {
    const here = machine(t, ['sudo'])
    const result = here.setUp(entry, 'y')
    t.equal(result.code, code, result.words)
    t.match(result.words, /Missing.*(sox|g\+\+)[^]*no apt-get: install what is missing with its own package manager/)
    t.same(here.ran(), [])
  })

  t.test(`${entry}: answered yes, all that runs as root was shown before the question and is shown again before it runs`, async t => {
    const here = machine(t, ['sudo', 'apt-get'])
    const result = here.setUp(entry, 'y')
    t.equal(result.code, code, result.words)
    t.match(result.words, /apt-get failed/)
    const ran = here.ran()
    t.ok(ran.includes('sudo apt-get update'), 'a first failure is followed by an update')
    const [asked, after] = result.words.split('[y/N]')
    for (const command of ran) {
      t.match(asked, new RegExp(`^  ${escaped(command)}( |$)`, 'm'), 'before the question')
      t.match(after, new RegExp(`^\\+ ${escaped(command)}$`, 'm'), 'before it runs')
    }
    if (entry === 'run.mjs') t.ok(ran.some(command => command.includes('install') && !/ pulseaudio( |$)/.test(command)), 'at last without what may be done without')
  })
}

t.test('an old Node is told which one is needed, and nothing else is loaded', async t => {
  const root = mkdtempSync(join(tmpdir(), 'parley-old-'))
  t.teardown(() => rmSync(root, { recursive: true }))
  writeFileSync(join(root, 'old.cjs'), "Object.defineProperty(process, 'versions', { value: { ...process.versions, node: '12.22.9' } })\n")
  cpSync(join(PACKAGE, 'deploy/setup/run.mjs'), join(root, 'run.mjs')) // what it would load is not there
  const run = spawnSync(process.execPath, ['--require', join(root, 'old.cjs'), join(root, 'run.mjs'), 'demo'], { encoding: 'utf8' })
  t.equal(run.status, 4)
  t.equal(run.stderr, 'Node 12.22.9 is too old: install Node 20.17 or newer, then run again.\n')
})

t.test('Node 12 can read the entry as far as that: no static import, no top-level await, no newer syntax', async t => {
  const text = readFileSync(join(PACKAGE, 'deploy/setup/run.mjs'), 'utf8')
  const source = ts.createSourceFile('run.mjs', text, ts.ScriptTarget.ESNext, true, ts.ScriptKind.JS)
  t.same(source.statements.filter(s => ts.isImportDeclaration(s) || ts.isExportDeclaration(s)).map(s => s.getText()), [])
  const awaits: string[] = []
  const walk = (node: ts.Node): void => {
    if (ts.isAwaitExpression(node) || (ts.isForOfStatement(node) && node.awaitModifier)) awaits.push(node.getText())
    if (!ts.isFunctionLike(node)) ts.forEachChild(node, walk)
  }
  walk(source)
  t.same(awaits, [])
  // What a compiler for ES2019, all of which Node 12 knows, would not leave as it is, is newer.
  const compiled = (target: ts.ScriptTarget): string => ts.transpileModule(text, { compilerOptions: { target, module: ts.ModuleKind.ESNext } }).outputText
  t.equal(compiled(ts.ScriptTarget.ES2019), compiled(ts.ScriptTarget.ESNext))
})

const escaped = (words: string): string => words.replace(/[+.]/g, '\\$&')
