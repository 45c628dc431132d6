// What needs root. Every command is shown before it runs, and all that may run before anybody is asked for sudo.
import { spawnSync } from 'node:child_process'
import { createInterface } from 'node:readline/promises'
import { Missing, say } from './say.mjs'

const isRoot = () => process.getuid() === 0
const line = command => `${isRoot() ? '' : 'sudo '}${command.join(' ')}`

export const aptInstall = names => ['apt-get', 'install', '-y', '--no-install-recommends', '--no-remove', ...names]
export const APT_UPDATE = ['apt-get', 'update']

/** How a person does the same. */
export const byHand = command => `Install by hand, then run again:\n  ${line(command)}`

/** `steps`: each `{ command, when }`, `when` in words where it may not be needed; the first is the one to run by hand. Throws Missing. */
export async function mayRun(steps) {
  if (spawnSync('apt-get', ['--version'], { stdio: 'ignore' }).error) throw new Missing('This machine has no apt-get: install what is missing with its own package manager, then run again.')
  if (isRoot()) return
  const hint = byHand(steps[0].command)
  if (spawnSync('sudo', ['--version'], { stdio: 'ignore' }).error) throw new Missing(`Installing needs root, and there is no sudo. ${hint}`)
  if (!process.stdin.isTTY) throw new Missing(`Installing needs sudo and nobody is here to be asked. ${hint}`)
  say('It needs sudo for:')
  for (const { command, when } of steps) say(`  ${line(command)}${when === undefined ? '' : `   (${when})`}`)
  const ask = createInterface({ input: process.stdin, output: process.stdout })
  const answer = await ask.question('Run this? [y/N] ')
  ask.close()
  if (!/^y(es)?$/i.test(answer.trim())) throw new Missing(`Nothing was changed. ${hint}`)
}

/** True when it succeeded. */
export function runAsRoot(command) {
  say(`+ ${line(command)}`)
  const [program, ...args] = isRoot() ? command : ['sudo', ...command]
  return spawnSync(program, args, { stdio: ['inherit', 'ignore', 'inherit'], env: { ...process.env, DEBIAN_FRONTEND: 'noninteractive' } }).status === 0
}
