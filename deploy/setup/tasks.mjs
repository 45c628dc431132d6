// The tasks of run.mjs: sets up what is not there yet, builds what has changed, and runs the task.
import { spawn } from 'node:child_process'
import { createHash } from 'node:crypto'
import { existsSync, mkdirSync, readFileSync, renameSync, writeFileSync } from 'node:fs'
import { homedir, tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { PACKAGES, installPackages } from './apt.mjs'
import { build } from './build.mjs'
import { buildSpeaker, installDependencies } from './packages.mjs'
import { Missing, say } from './say.mjs'
import { runTests } from './tests.mjs'

const root = dirname(dirname(dirname(fileURLToPath(import.meta.url))))
const PROGRAMS = { demo: ['dist/runtime/cli/main.js', 'demo'], bench: ['dist/runtime/cli/main.js', 'bench'], 'bench:fleet': ['dist/runtime/fleet/simulation/main.js'], eval: ['dist/models/eval/main.js'] }

/** Set up already: nothing that decides it has changed since. */
function stampOf(task) {
  const parts = [readFileSync(join(root, 'package-lock.json'), 'utf8'), PACKAGES[task], process.versions.modules, process.arch]
  return createHash('sha256').update(JSON.stringify(parts)).digest('hex')
}

async function setUp(task) {
  const folder = join(root, '.parley')
  const file = join(folder, `setup-${task}`)
  const wanted = stampOf(task)
  if (existsSync(file) && readFileSync(file, 'utf8') === wanted && existsSync(join(root, 'node_modules/.package-lock.json'))) return
  await installPackages(task)
  const dependencies = join(folder, 'setup-npm')
  const lock = createHash('sha256').update(readFileSync(join(root, 'package-lock.json'))).update(process.versions.modules).digest('hex')
  if (!existsSync(dependencies) || readFileSync(dependencies, 'utf8') !== lock || !existsSync(join(root, 'node_modules/.package-lock.json'))) installDependencies(root)
  mkdirSync(folder, { recursive: true })
  put(dependencies, lock)
  put(file, wanted)
}

/** Whole or not at all: a set-up that was broken off begins again. */
function put(path, text) {
  writeFileSync(`${path}.tmp`, text)
  renameSync(`${path}.tmp`, path)
}

async function runProgram(task, args) {
  const [file, ...first] = PROGRAMS[task]
  if (!existsSync(join(root, file))) throw new Missing(`${file} does not exist: this version has no ${task}.`)
  const child = spawn(process.execPath, [join(root, file), ...first, ...args], { cwd: root, stdio: 'inherit' })
  for (const signal of ['SIGINT', 'SIGTERM']) process.on(signal, () => child.kill(signal))
  return new Promise(resolve => child.once('close', (code, signal) => resolve(signal ? 1 : code)))
}

/** Resolves with the exit code. */
export async function run([task, ...args]) {
  try {
    return await runTask(task, args)
  } catch (error) {
    process.stderr.write(`${error instanceof Missing ? error.message : error.stack}\n`)
    return error instanceof Missing ? 4 : 5
  }
}

async function runTask(task, args) {
  if (!Object.hasOwn(PACKAGES, task ?? '')) throw new Missing(`Usage: node deploy/setup/run.mjs ${Object.keys(PACKAGES).join('|')} [options]`)
  // Caches go under HOME; an account without one gets a folder that lasts until the next start of the machine.
  if (!homedir() || !existsSync(homedir())) process.env.HOME = join(tmpdir(), `parley-home-${process.getuid()}`)
  mkdirSync(homedir(), { recursive: true })
  await setUp(task)
  if (PACKAGES[task].includes('libasound2-dev')) buildSpeaker(root)
  build(root)
  return task === 'test' ? runTests(root, args) : runProgram(task, args)
}
