import { ParleyError } from '../../base/errors.js'
import type { Host, Microphone, Speaker } from '../../drivers/contract.js'
import { openDriver } from '../../drivers/table.js'
import type { Config } from '../config/schema.js'
import { hasSoundCard, soundServer, speakerPackageIsBuilt } from './sound-devices.js'

const NO_SOUND = 'There is neither a sound server nor a sound card. `parley doctor` says more; `parley converse` and `parley demo` need none.'

/** The configured microphone; `auto` takes the sound server's, else the sound card's. Throws `device-missing`. */
export async function openMicrophone(config: Config['microphone'], host: Host): Promise<Microphone> {
  const { driver, ...rest } = config
  if (driver !== 'auto') return openDriver('microphone', driver, rest, host)
  if (await soundServer()) return openDriver('microphone', 'pulse', rest, host)
  if (await hasSoundCard()) return openDriver('microphone', 'alsa', rest, host)
  throw new ParleyError('device-missing', 'there is no microphone', { hint: NO_SOUND })
}

/** The configured speaker; `auto` takes the package `speaker` where it is built, else a player program; without any device, nothing sounds. */
export async function openSpeaker(config: Config['speaker'], rate: number, host: Host): Promise<Speaker> {
  const { driver, ...given } = config
  const rest = { rate, ...given }
  if (driver !== 'auto') return openDriver('speaker', driver, rest, host)
  const server = await soundServer()
  if (!server && !(await hasSoundCard())) {
    host.log.warn({ driver: 'speaker' }, 'no sound card and no sound server: nothing is heard')
    return openDriver('speaker', 'null', rest, host)
  }
  if (speakerPackageIsBuilt()) {
    try {
      return await openDriver('speaker', 'speaker', rest, host)
    } catch (error) {
      host.log.warn({ driver: 'speaker', code: error instanceof ParleyError ? error.code : undefined }, 'the package speaker cannot open the device: a player program is used')
    }
  }
  return openDriver('speaker', 'pipe', { ...rest, program: server ? 'pacat' : 'aplay' }, host)
}
