// System packages through apt: installs what is missing, never removes anything, asks before sudo.
import { spawnSync } from 'node:child_process'
import { APT_UPDATE, aptInstall, byHand, mayRun, runAsRoot } from './as-root.mjs'
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
  say(`Missing system packages: ${missing.join(' ')}`)
  const install = aptInstall(missing)
  const needed = missing.filter(p => !OPTIONAL.includes(p))
  const spared = missing.filter(p => OPTIONAL.includes(p)).join(', ')
  const less = spared && needed.length ? [{ command: aptInstall(needed), when: `if it fails with ${spared}` }] : []
  await mayRun([{ command: install }, { command: APT_UPDATE, when: 'if that fails, and then that again' }, ...less])
  if (runAsRoot(install)) return
  // The lists of a fresh machine are empty, so a first failure is followed by one update.
  runAsRoot(APT_UPDATE)
  if (runAsRoot(install)) return
  if (spared && less.every(({ command }) => runAsRoot(command))) return say(`Going on without ${spared}: it cannot be installed beside what is here.`)
  throw new Missing(`apt-get failed (its words are above). ${byHand(install)}`)
}
