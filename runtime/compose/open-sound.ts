import { ParleyError } from '../../base/errors.js'
import type { Host, Microphone, Speaker } from '../../drivers/contract.js'
import { findEchoCanceller, type EchoCanceller } from '../../drivers/echo/echo-cancel.js'
import { defaultOf } from '../../drivers/echo/pulse-tools.js'
import { openDriver } from '../../drivers/table.js'
import type { Config } from '../config/schema.js'
import { cardFor } from './sound-card.js'
import { hasSoundCard, soundServer, speakerPackageIsBuilt } from './sound-devices.js'

const NO_SOUND = 'There is neither a sound server nor a sound card. `parley doctor` says more; `parley converse` and `parley demo` need none.'

/** The server's echo canceller, unless a device was named, here or by the server's own variable. */
async function canceller(config: Readonly<Record<string, unknown>>, variable: 'PULSE_SOURCE' | 'PULSE_SINK'): Promise<EchoCanceller | undefined> {
  if (config['device'] !== undefined || process.env[variable]) return undefined
  try {
    return await findEchoCanceller()
  } catch {
    return undefined // no server answers: whoever opens the device says so
  }
}

/** The default microphone by its stable name: one that is unplugged is waited for, and no other source, such as a monitor of our own voice, taken for it. */
async function defaultMicrophone(): Promise<string | undefined> {
  if (process.env['PULSE_SOURCE']) return undefined
  const name = await defaultOf('source').catch(() => undefined)
  return name?.endsWith('.monitor') ? undefined : name
}

/** The same with the card by its stable name, where ALSA is used and no device is named. */
async function withCard(direction: 'microphone' | 'speaker', config: Readonly<Record<string, unknown>>, root: string): Promise<Readonly<Record<string, unknown>>> {
  const device = config['device'] ?? (await cardFor(direction, root))
  return device === undefined ? config : { ...config, device }
}

/**
 * The configured microphone; `auto` takes the sound server's, else the sound card's. Where no device is named, the server's
 * is the one behind its echo canceller, if it has one, else its default; without a server it is the card's. `root`: where `proc` is. Throws `device-missing`.
 */
export async function openMicrophone(config: Config['microphone'], host: Host, root = '/'): Promise<Microphone> {
  const { driver, ...rest } = config
  if (driver === 'pulse' || (driver === 'auto' && (await soundServer()))) {
    const device = rest['device'] ?? (await canceller(config, 'PULSE_SOURCE'))?.source ?? (await defaultMicrophone())
    return openDriver('microphone', 'pulse', device === undefined ? rest : { ...rest, device }, host)
  }
  if (driver === 'alsa' || (driver === 'auto' && (await hasSoundCard(root)))) return openDriver('microphone', 'alsa', await withCard('microphone', rest, root), host)
  if (driver !== 'auto') return openDriver('microphone', driver, rest, host)
  throw new ParleyError('device-missing', 'there is no microphone', { hint: NO_SOUND })
}

/**
 * The configured speaker; `auto` takes the package `speaker` where it is built, else a player program; without any device, nothing sounds.
 * Where no device is named and the server has an echo canceller, a player program plays into it, so that it knows what we say.
 */
export async function openSpeaker(config: Config['speaker'], rate: number, host: Host, root = '/'): Promise<Speaker> {
  const { driver, ...given } = config
  const rest = { rate, ...given }
  const intoServer = driver === 'auto' || (driver === 'pipe' && given['program'] !== 'aplay')
  const sink = intoServer ? (await canceller(config, 'PULSE_SINK'))?.sink : undefined
  if (sink) return openDriver('speaker', 'pipe', { ...rest, program: 'pacat', device: sink }, host)
  if (driver === 'speaker' || (driver === 'pipe' && !intoServer)) return openDriver('speaker', driver, await withCard('speaker', rest, root), host)
  if (driver !== 'auto') return openDriver('speaker', driver, rest, host)
  const server = await soundServer()
  if (!server && !(await hasSoundCard(root))) {
    host.log.warn({ driver: 'speaker' }, 'no sound card and no sound server: nothing is heard')
    return openDriver('speaker', 'null', rest, host)
  }
  // A card that only records: ALSA's default says why it cannot play.
  const onCard = server ? rest : await withCard('speaker', rest, root).catch(() => rest)
  if (speakerPackageIsBuilt()) {
    try {
      return await openDriver('speaker', 'speaker', onCard, host)
    } catch (error) {
      host.log.warn({ driver: 'speaker', code: error instanceof ParleyError ? error.code : undefined }, 'the package speaker cannot open the device: a player program is used')
    }
  }
  return openDriver('speaker', 'pipe', { ...onCard, program: server ? 'pacat' : 'aplay' }, host)
}
