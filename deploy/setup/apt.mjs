// System packages through apt: installs what is missing, never removes anything, asks before sudo.
import { spawnSync } from 'node:child_process'
import { createInterface } from 'node:readline/promises'
import { Missing, say } from './say.mjs'

/** What a conversation stands on. */
const SOUND = ['libasound2-dev', 'libasound2-plugins', 'alsa-utils', 'sox', 'pulseaudio-utils', 'make', 'g++', 'python3']
/** Wanted, but on a PipeWire desktop it would push out the sound system: then it is done without, and tests say so. */
const OPTIONAL = ['pulseaudio']

export const PACKAGES = {
  demo: [...SOUND, ...OPTIONAL],
  bench: [...SOUND, ...OPTIONAL],
  'bench:fleet': ['mosquitto'],
  eval: [],
  test: [...SOUND, ...OPTIONAL, 'mosquitto', 'mosquitto-clients', 'ffmpeg', 'openssl'],
}

/** On a machine without dpkg the programs themselves are looked for. */
const PROGRAMS = { 'alsa-utils': 'aplay', sox: 'sox', 'pulseaudio-utils': 'pactl', make: 'make', 'g++': 'g++', python3: 'python3', pulseaudio: 'pulseaudio', mosquitto: 'mosquitto', 'mosquitto-clients': 'mosquitto_pub', ffmpeg: 'ffmpeg', openssl: 'openssl' }

const exists = program => spawnSync('sh', ['-c', `command -v "$0"`, program], { stdio: 'ignore' }).status === 0 || spawnSync('ls', [`/usr/sbin/${program}`], { stdio: 'ignore' }).status === 0

function missingOf(packages) {
  if (packages.length === 0) return []
  const dpkg = spawnSync('dpkg-query', ['-W', '-f=${Package} ${db:Status-Status}\n', ...packages], { encoding: 'utf8' })
  if (dpkg.error) return packages.filter(p => PROGRAMS[p] && !exists(PROGRAMS[p]))
  const installed = new Set(dpkg.stdout.split('\n').filter(line => line.endsWith(' installed')).map(line => line.split(' ')[0]))
  return packages.filter(p => !installed.has(p))
}

/** Throws Missing with the command to run by hand when it cannot go on. */
export async function installPackages(task) {
  const missing = missingOf(PACKAGES[task])
  if (missing.length === 0) return
  const root = process.getuid() === 0
  const command = names => ['apt-get', 'install', '-y', '--no-install-recommends', '--no-remove', ...names]
  const byHand = `Install by hand, then run again:\n  ${root ? '' : 'sudo '}${command(missing).join(' ')}`
  say(`Missing system packages: ${missing.join(' ')}`)
  if (spawnSync('apt-get', ['--version'], { stdio: 'ignore' }).error) throw new Missing('This machine has no apt-get: install them with its own package manager, then run again.')
  if (!root) await askForSudo(command(missing), byHand)
  const apt = args => spawnSync(root ? args[0] : 'sudo', root ? args.slice(1) : args, { stdio: ['inherit', 'ignore', 'inherit'], env: { ...process.env, DEBIAN_FRONTEND: 'noninteractive' } }).status === 0
  // The lists of a fresh machine are empty, so a first failure is followed by one update.
  if (apt(command(missing))) return
  apt(['apt-get', 'update'])
  if (apt(command(missing))) return
  const needed = missing.filter(p => !OPTIONAL.includes(p))
  if (needed.length < missing.length && (needed.length === 0 || apt(command(needed)))) {
    return say(`Going on without ${missing.filter(p => OPTIONAL.includes(p)).join(', ')}: it cannot be installed beside what is here.`)
  }
  throw new Missing(`apt-get failed (its words are above). ${byHand}`)
}

async function askForSudo(command, byHand) {
  if (spawnSync('sudo', ['--version'], { stdio: 'ignore' }).error) throw new Missing(`Installing needs root, and there is no sudo. ${byHand}`)
  if (!process.stdin.isTTY) throw new Missing(`Installing needs sudo and nobody is here to be asked. ${byHand}`)
  const ask = createInterface({ input: process.stdin, output: process.stdout })
  const answer = await ask.question(`Run "sudo ${command.join(' ')}"? [y/N] `)
  ask.close()
  if (!/^y(es)?$/i.test(answer.trim())) throw new Missing(`Nothing was changed. ${byHand}`)
}
