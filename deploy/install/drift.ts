import { readFile, readdir } from 'node:fs/promises'
import { join } from 'node:path'
import { isMissing } from '../../base/errors.js'
import { Layout } from '../update/layout.js'

/** Below `guard/` → in the source tree. `node` is none of ours. */
const GUARD: Readonly<Record<string, string>> = {
  'boot-guard.sh': 'deploy/update/boot-guard.sh',
  'fallback.sh': 'deploy/fallback/fallback.sh',
  'try-again.sh': 'deploy/fallback/try-again.sh',
  'note-stop.sh': 'deploy/fallback/note-stop.sh',
  'updater.sh': 'deploy/fallback/updater.sh',
  'out-of-service.wav': 'deploy/fallback/out-of-service.wav',
  'light.sh': 'deploy/light/light.sh',
  'screen.sh': 'deploy/screen/screen.sh',
  'sound.sh': 'deploy/sound/sound.sh',
  'pipewire.sh': 'deploy/sound/pipewire.sh',
  parley: 'deploy/install/parley.sh',
}
const SETTINGS: Readonly<Record<string, string>> = {
  'usr/lib/sysusers.d/parley.conf': 'systemd/sysusers.d/parley.conf',
  'usr/lib/tmpfiles.d/parley.conf': 'systemd/tmpfiles.d/parley.conf',
  'etc/udev/rules.d/85-parley.rules': 'systemd/udev/85-parley.rules',
  'etc/systemd/journald.conf.d/parley.conf': 'systemd/journald.conf.d/parley.conf',
}
/** Only where --audio pulse or pipewire put them. */
const IF_THERE: Readonly<Record<string, string>> = {
  'etc/systemd/system/parley.service.d/sound.conf': 'systemd/pulse/voice.conf',
  'etc/systemd/system/parley-fallback.service.d/sound.conf': 'systemd/pulse/fallback.conf',
  'etc/systemd/system/parley-sound.service.d/server.conf': 'systemd/pipewire/server.conf',
  'etc/pulse/default.pa.d/parley.pa': 'deploy/sound/parley.pa',
  'etc/pipewire/pipewire-pulse.conf.d/parley.conf': 'deploy/sound/parley-pipewire.conf',
}

/**
 * What install.sh put outside of the releases and is not as the release that runs would put it. An update does not touch these: the
 * guard must be able to undo a bad release, so no release may bring its own. Paths below `root`, sorted.
 */
export async function drift(root = '/'): Promise<string[]> {
  const app = join(new Layout(root).current, 'app')
  const units = (await readdir(join(app, 'systemd')).catch(() => [])).filter(name => /\.(service|timer|path|target)$/.test(name))
  const pairs: Readonly<Record<string, string>> = {
    ...Object.fromEntries(units.map(name => [`etc/systemd/system/${name}`, `systemd/${name}`])),
    ...Object.fromEntries(Object.entries(GUARD).map(([name, from]) => [`opt/parley/guard/${name}`, from])),
    ...SETTINGS, ...IF_THERE,
  }
  const differs = await Promise.all(Object.entries(pairs).map(async ([path, from]) => {
    const [here, wanted] = await Promise.all([bytes(join(root, path)), bytes(join(app, from))])
    if (wanted === undefined || (here === undefined && path in IF_THERE)) return undefined
    return here?.equals(wanted) ? undefined : path
  }))
  return differs.filter(path => path !== undefined).sort()
}

async function bytes(path: string): Promise<Buffer | undefined> {
  return readFile(path).catch((error: unknown) => {
    if (isMissing(error)) return undefined
    throw error
  })
}
