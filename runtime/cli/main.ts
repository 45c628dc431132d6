#!/usr/bin/env node
import { describe } from '../../base/errors.js'
import { EXIT, exitCodeOf, say, type Command } from './command.js'

/** Loaded when they are asked for, so that none waits for the libraries of another. */
const COMMANDS: Readonly<Record<string, () => Promise<{ command: Command }>>> = {
  run: () => import('./run.js'),
  demo: () => import('./demo.js'),
  converse: () => import('./converse.js'),
  doctor: () => import('./doctor.js'),
  'check-config': () => import('./check-config.js'),
  bench: () => import('./bench.js'),
  devices: () => import('./devices.js'),
  fleet: () => import('./fleet.js'),
  provision: () => import('./provision.js'),
  update: () => import('./update.js'),
  engines: () => import('./engines.js'),
  release: () => import('./release.js'),
}

const EXIT_CODES = `Exit codes:
  0  all is well
  1  it ran, and a turn or a check is not as it should be
  2  the command line is wrong
  3  a file that was given is wrong (configuration, WAV, facts)
  4  something is missing on this machine (a device, a program)
  5  an error of parley itself
  6  the bundle is missing or damaged
  7  the model does not run here, or does not answer as it was built to
  75  it wants to be started again (asked for from afar)
  130  stopped by Ctrl-C or SIGTERM before it was done`

async function main([name, ...args]: readonly string[]): Promise<number> {
  if (name === undefined || name === '--help' || name === '-h' || name === 'help') {
    const lines = await Promise.all(Object.entries(COMMANDS).map(async ([n, load]) => `  ${n.padEnd(14)}${(await load()).command.summary}`))
    say(`parley: a robot or a kiosk that talks, on the device.\n\nparley COMMAND [options]\n\n${lines.join('\n')}\n\nEach has --help.\n\n${EXIT_CODES}`)
    return name === undefined ? EXIT.usage : EXIT.ok
  }
  const load = Object.hasOwn(COMMANDS, name) ? COMMANDS[name] : undefined
  if (!load) {
    process.stderr.write(`parley: there is no command ${JSON.stringify(name)}; there are ${Object.keys(COMMANDS).join(', ')}\n`)
    return EXIT.usage
  }
  const { command } = await load()
  if (args.includes('--help') || args.includes('-h')) {
    say(command.help.trim())
    return EXIT.ok
  }
  return command.run(args)
}

try {
  process.exitCode = await main(process.argv.slice(2))
} catch (error) {
  process.exitCode = exitCodeOf(error)
  process.stderr.write(process.exitCode === EXIT.internal && error instanceof Error ? `parley: ${error.stack ?? error.message}\n` : `parley: ${describe(error)}\n`)
}
